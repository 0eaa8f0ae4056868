import pc from 'picocolors';
import { wantsColour } from '../report/console.js';

/** Colours for what goes to standard output and to standard error: each by what the stream is, NO_COLOR and FORCE_COLOR. */
export const out = pc.createColors(wantsColour(process.env, process.stdout.isTTY === true));
export const err = pc.createColors(wantsColour(process.env, process.stderr.isTTY === true));
