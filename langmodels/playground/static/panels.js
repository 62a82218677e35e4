// The panels, in order; a page by itself has those that it can compute.

import { live } from "./backend.js";
import { chain } from "./panels/chain.js";
import { compare } from "./panels/compare.js";
import { counts } from "./panels/counts.js";
import { memory } from "./panels/memory.js";
import { next } from "./panels/next.js";
import { shannon } from "./panels/shannon.js";
import { training } from "./panels/training.js";

const SERVED = [compare, memory, training];

export const PANELS = [next, chain, counts, shannon, ...(live ? SERVED : [])];
