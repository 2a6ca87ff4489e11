/** What the page says, in Korean or English. */

/** The texts of one language. */
export interface Texts {
  readonly source: string;
  readonly placeholder: string;
  readonly result: string;
  readonly rendering: string;
  readonly ruby: string;
  readonly copy: string;
  readonly copied: string;
  readonly notCopied: string;
  readonly finish: string;
  readonly kept: string;
  readonly hangul: string;
  readonly always: string;
  readonly retry: string;
  readonly connecting: string;
  readonly converting: string;
  readonly interim: string;
  readonly final: string;
  readonly spellings: (word: string) => string;
  readonly forget: (word: string) => string;
  readonly lost: (why: string) => string;
  readonly ended: (why: string) => string;
}

const KOREAN: Texts = {
  source: "한글",
  placeholder: "여기에 한글을 입력하세요",
  result: "한자",
  rendering: "표기",
  ruby: "루비",
  copy: "복사",
  copied: "복사했습니다",
  notCopied: "복사하지 못했습니다",
  finish: "확정 (Ctrl+Enter)",
  kept: "늘 이렇게 쓰는 낱말",
  hangul: "한글",
  always: "늘 이렇게 쓰기",
  retry: "지금 다시 연결",
  connecting: "연결하는 중",
  converting: "변환하는 중",
  interim: "아직 바뀔 수 있음 (점선)",
  final: "확정됨",
  spellings: (word) => `${word}의 표기`,
  forget: (word) => `${word} 지우기`,
  lost: (why) => `연결이 끊겼습니다. 입력한 글은 그대로 있고, 다시 연결하면 이어집니다. (${why})`,
  ended: (why) => `변환이 멈췄습니다: ${why}`,
};

const ENGLISH: Texts = {
  source: "Hangul",
  placeholder: "Type Hangul here",
  result: "Hanja",
  rendering: "Written as",
  ruby: "ruby",
  copy: "Copy",
  copied: "Copied",
  notCopied: "Could not copy",
  finish: "Finish (Ctrl+Enter)",
  kept: "Words always written so",
  hangul: "Hangul",
  always: "always write it so",
  retry: "Connect now",
  connecting: "Connecting",
  converting: "Converting",
  interim: "May still change (dotted)",
  final: "Final",
  spellings: (word) => `Spellings of ${word}`,
  forget: (word) => `Remove ${word}`,
  lost: (why) => `The connection is lost. What you type is kept, and converted once it is back. (${why})`,
  ended: (why) => `Conversion has stopped: ${why}`,
};

/** The texts for a language tag. */
export function textsFor(language: string): Texts {
  return language.toLowerCase().startsWith("ko") ? KOREAN : ENGLISH;
}
