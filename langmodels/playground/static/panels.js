// The panels, in order.

import { chain } from "./panels/chain.js";
import { counts } from "./panels/counts.js";
import { next } from "./panels/next.js";
import { shannon } from "./panels/shannon.js";

export const PANELS = [next, chain, counts, shannon];
