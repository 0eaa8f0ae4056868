/** A value that a step saved for later ones: a scalar of its output. */
export type SavedValue = string | number | boolean;

/** How a saved value is called: a shell variable's name that no program has a meaning for. */
export const savedName = /^[a-z][a-z0-9_]{0,39}$/;
