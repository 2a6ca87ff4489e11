/** How to convert: the options of every call, and the messages for them. */

import { type MessageShape, create } from "@bufbuild/protobuf";
import {
  CharacterSet,
  ConvertOptionsSchema,
  type LiveConfig,
  LiveConfigSchema,
  OffsetUnit,
  Rendering as Wire,
  Segmentation,
} from "./gen/hanjaserve/v1/hanjaserve_pb.js";

/**
 * How a converted word is written: 首都, 수도(首都), 首都(수도), HTML with ruby (the rest of the text is
 * escaped), or 수도 even where 首都 stands in the text.
 */
export type Rendering = "hanja" | "hangul-hanja" | "hanja-hangul" | "ruby" | "hangul";

/** A word that the caller decides. */
export interface GlossaryEntry {
  /** As it stands in texts: 김영희. */
  readonly hangul: string;
  /** How it is written: 金英姬. Absent to leave the word in Hangul. */
  readonly hanja?: string;
  /** Allow Hanja that are not known to be read like their syllable. */
  readonly allowAnyReading?: boolean;
}

/** Words that the server has stored; of that version, if one is given. */
export interface GlossaryReference {
  readonly id: string;
  readonly version?: string;
}

/** How to convert. Every field has a useful default. */
export interface ConvertOptions {
  readonly rendering?: Rendering;
  /** Words scored lower stay in Hangul; from 0 to 1. */
  readonly minScore?: number;
  /** How many alternatives to report per word, at most 8. */
  readonly maxAlternatives?: number;
  /** Convert only the first occurrence of every word. */
  readonly firstOccurrenceOnly?: boolean;
  /** The orthographic style, one of `ServerInfo.styles`. */
  readonly style?: string;
  /** Report the converted words, not just the text. */
  readonly withSpans?: boolean;
  /** Report the text between the words as spans, too. */
  readonly withKept?: boolean;
  /** The Hanja that may be written: all, the 1,800 of Korean schools, or those of a string. */
  readonly characters?: "all" | "educational" | { readonly only: string };
  /** Give Hanja in the text their reading, and render both. */
  readonly readHanja?: boolean;
  /** Words that are decided whatever the model says. */
  readonly glossary?: readonly GlossaryEntry[] | GlossaryReference;
}

/** How a live session works. */
export interface LiveOptions extends ConvertOptions {
  /** Convert lines rather than sentences. */
  readonly byLine?: boolean;
  /** Leave out results that may still change. */
  readonly finalsOnly?: boolean;
  /** The most often that what is being typed is converted, per second; 0 for as often as the server likes. */
  readonly maxInterimPerS?: number;
}

const RENDERINGS: Record<Rendering, Wire> = {
  "hanja": Wire.HANJA,
  "hangul-hanja": Wire.HANGUL_HANJA,
  "hanja-hangul": Wire.HANJA_HANGUL,
  "ruby": Wire.RUBY,
  "hangul": Wire.HANGUL,
};

/** The message for options; the server checks the values. */
export function optionsMessage(options: ConvertOptions): MessageShape<typeof ConvertOptionsSchema> {
  const { characters = "all", maxAlternatives = 0, withKept = false } = options;
  return create(ConvertOptionsSchema, {
    rendering: RENDERINGS[options.rendering ?? "hanja"],
    minScore: options.minScore ?? 0,
    maxAlternatives,
    firstOccurrenceOnly: options.firstOccurrenceOnly ?? false,
    style: options.style ?? "",
    withSpans: (options.withSpans ?? false) || withKept || maxAlternatives > 0,
    withKept,
    readHanja: options.readHanja ?? false,
    ...characterSet(characters),
    glossarySource: glossarySource(options.glossary),
  });
}

/** The message that a live session begins with. */
export function configMessage(options: LiveOptions): LiveConfig {
  const { byLine = false, finalsOnly = false, maxInterimPerS = 0 } = options;
  return create(LiveConfigSchema, {
    options: optionsMessage(options),
    offsetUnit: OffsetUnit.UTF16,
    segmentation: byLine ? Segmentation.LINE : Segmentation.SENTENCE,
    finalsOnly,
    maxInterimPerS,
  });
}

function characterSet(characters: NonNullable<ConvertOptions["characters"]>) {
  if (characters === "all") return { characterSet: CharacterSet.ALL };
  if (characters === "educational") return { characterSet: CharacterSet.EDUCATIONAL };
  return { characterSet: CharacterSet.CUSTOM, characters: characters.only };
}

function glossarySource(glossary: ConvertOptions["glossary"]) {
  if (!glossary) return { case: undefined };
  if (!("id" in glossary)) return { case: "glossary" as const, value: { entries: glossary.map(entryMessage) } };
  const { id, version = "" } = glossary;
  return { case: "glossaryReference" as const, value: { id, version } };
}

function entryMessage(entry: GlossaryEntry) {
  const { hangul, hanja, allowAnyReading = false } = entry;
  return { hangul, hanja: hanja ?? "", keep: hanja === undefined, allowAnyReading };
}
