/**
 * What has changed between two values of an input. Offsets are UTF-16 units, as everywhere in
 * JavaScript, and never lie between the two units of a surrogate pair.
 */

/** Replaces [start, end) of a text by another text. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * The smallest splice that makes one text of another; undefined if they are the same.
 *
 * Where several do, as when a letter is doubled, it is the one that ends at the caret: what was typed.
 *
 * @param before - The text as it was; well-formed.
 * @param after - The text as it is; well-formed.
 * @param caret - Where the caret is in `after`, if that is known.
 */
export function spliceBetween(before: string, after: string, caret?: number): Splice | undefined {
  if (before === after) return undefined;
  const shorter = Math.min(before.length, after.length);
  let suffix = commonSuffix(before, after, 0, Math.min(shorter, after.length - (caret ?? after.length)));
  const prefix = commonPrefix(before, after, shorter - suffix);
  suffix = commonSuffix(before, after, suffix, shorter - prefix);
  return { start: prefix, end: before.length - suffix, text: after.slice(prefix, after.length - suffix) };
}

/** The text after a splice. */
export function applySplice(text: string, splice: Splice): string {
  return text.slice(0, splice.start) + splice.text + text.slice(splice.end);
}

/** Whether an offset lies between the two units of a surrogate pair. */
export function splitsPair(text: string, at: number): boolean {
  return isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at));
}

function commonPrefix(one: string, other: string, most: number): number {
  let length = 0;
  while (length < most && one.charCodeAt(length) === other.charCodeAt(length)) length += 1;
  return splitsPair(one, length) || splitsPair(other, length) ? length - 1 : length;
}

function commonSuffix(one: string, other: string, least: number, most: number): number {
  let length = least;
  while (length < most && one.charCodeAt(one.length - 1 - length) === other.charCodeAt(other.length - 1 - length)) {
    length += 1;
  }
  return splitsPair(one, one.length - length) || splitsPair(other, other.length - length) ? length - 1 : length;
}

// charCodeAt gives NaN outside the text, and NaN is in no range.
function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
