// The panels, in order.

import { chain } from "./panels/chain.js";
import { next } from "./panels/next.js";

export const PANELS = [next, chain];
