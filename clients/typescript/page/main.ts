/** The page: a field on one side, the converted text on the other. Joins the parts; each knows its own. */

import { Client, type ConvertError, type LiveEvent, type LiveSession, type Rendering, type Splice, Typing } from "../src/index.js";
import { Choices } from "./choices.js";
import { KeptWords } from "./glossary.js";
import { Menu } from "./menu.js";
import { Output } from "./output.js";
import { type Passage, type Piece, converted, passagesOf } from "./pieces.js";
import { type Texts, textsFor } from "./texts.js";

const ALTERNATIVES = 5;
/** Whoever has the page open waits for the server, however long it takes. */
const PATIENT = { maxAttempts: Infinity, initialDelayMs: 100, maxDelayMs: 2_000 };

class Page {
  readonly #client = new Client(location.href, { retry: PATIENT });
  readonly #texts: Texts = textsFor(navigator.language);
  readonly #kept = new KeptWords(() => localStorage);
  readonly #source = element("source", HTMLTextAreaElement);
  readonly #status = element("status", HTMLElement);
  readonly #retry = element("retry", HTMLButtonElement);
  readonly #menu: Menu;
  readonly #output: Output;
  readonly #typing: Typing;
  #choices = new Choices();
  #session: LiveSession;
  #passages: Passage[] = [];
  #connected = false;
  /** What is wrong, if something is. */
  #trouble = "";
  #drawing = false;

  constructor() {
    this.#menu = new Menu(element("menu", HTMLElement), this.#texts, (...chosen) => this.#choose(...chosen));
    const open = (word: HTMLElement, focus: boolean): void => {
      const piece = this.#output.piece(word);
      if (piece) this.#menu.open(word, piece, focus);
    };
    const root = element("result", HTMLElement);
    this.#output = new Output(root, (word) => open(word, true), (word) => open(word, false));
    root.addEventListener("pointerout", () => this.#menu.leave());
    this.#session = this.#begin();
    this.#typing = new Typing(this.#source, () => this.#session, (...typed) => this.#typed(...typed));
    this.#label();
    this.#listen();
    this.#list();
    // A browser may have kept what was typed before the page was loaded again.
    this.#typing.read();
  }

  #options() {
    return { maxAlternatives: ALTERNATIVES, withKept: true, glossary: this.#kept.entries };
  }

  #begin(): LiveSession {
    const session = this.#client.live(this.#options());
    session.subscribe((events) => this.#happened(session, events));
    return session;
  }

  #happened(session: LiveSession, events: readonly LiveEvent[]): void {
    if (session !== this.#session) return;
    for (const event of events) {
      if (event.kind === "lost") this.#lose(this.#texts.lost(event.error.message));
      else if (event.kind === "ended" && event.error) this.#lose(this.#texts.ended(event.error.message));
      else if (event.kind === "rejected") this.#trouble = event.error.message;
    }
    if (events.every(({ kind }) => !["lost", "ended", "resumed"].includes(kind))) this.#regain();
    this.#draw();
  }

  #lose(why: string): void {
    this.#connected = false;
    this.#trouble = why;
  }

  #regain(): void {
    if (!this.#connected) this.#trouble = "";
    this.#connected = true;
  }

  #typed(splice: Splice | undefined, error: ConvertError | undefined): void {
    if (splice) this.#choices.edited(splice);
    if (error) this.#trouble = error.message;
    else if (this.#connected) this.#trouble = "";
    this.#draw();
  }

  #choose(piece: Piece, spelling: string, always: boolean): void {
    if (always) {
      this.#kept.keep(piece.source, spelling);
      this.#reconfigure();
    }
    if (piece.range) this.#choices.choose(piece.range, spelling);
    this.#draw();
  }

  #reconfigure(): void {
    this.#list();
    try {
      this.#session.configure(this.#options());
    } catch {
      this.#restart();
    }
  }

  #restart(): void {
    this.#session.abort();
    this.#session = this.#begin();
    this.#typing.read();
  }

  #rendering(): Rendering {
    const chosen = document.querySelector<HTMLInputElement>("input[name=rendering]:checked");
    return (chosen?.value ?? "hanja") as Rendering;
  }

  /** Show how things are, once per frame however often it is asked for. */
  #draw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#passages = passagesOf(this.#session, this.#choices);
      this.#output.show(this.#passages, { rendering: this.#rendering(), composing: this.#typing.composing });
      this.#follow();
      this.#tellState();
    });
  }

  #follow(): void {
    const range = this.#menu.piece?.range;
    const word = range && this.#output.find(range);
    this.#menu.follow(word, word && this.#output.piece(word));
  }

  #tellState(): void {
    this.#retry.hidden = this.#connected || !this.#trouble;
    const interim = this.#passages.some(({ isFinal }) => !isFinal);
    let state = this.#connected ? "" : this.#texts.connecting;
    if (this.#connected && !this.#session.isSettled) state = this.#texts.converting;
    else if (this.#connected && this.#passages.length) state = interim ? this.#texts.interim : this.#texts.final;
    this.#tell(this.#trouble || state);
    this.#status.classList.toggle("trouble", Boolean(this.#trouble));
  }

  #tell(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  #list(): void {
    const list = element("kept", HTMLElement);
    list.replaceChildren(...this.#kept.entries.map(({ hangul, hanja }) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "×";
      button.setAttribute("aria-label", this.#texts.forget(hangul));
      button.addEventListener("click", () => {
        this.#kept.forget(hangul);
        this.#reconfigure();
      });
      item.append(`${hangul} → ${hanja ?? hangul}`, button);
      return item;
    }));
    element("words", HTMLElement).hidden = !this.#kept.entries.length;
  }

  #label(): void {
    document.documentElement.lang = this.#texts === textsFor("ko") ? "ko" : "en";
    this.#source.placeholder = this.#texts.placeholder;
    for (const node of document.querySelectorAll<HTMLElement>("[data-text]")) {
      const text = this.#texts[node.dataset["text"] as keyof Texts];
      if (typeof text === "string") node.textContent = text;
    }
  }

  #listen(): void {
    for (const input of document.querySelectorAll("input[name=rendering]")) {
      input.addEventListener("change", () => this.#draw());
    }
    element("copy", HTMLButtonElement).addEventListener("click", () => void this.#copy());
    element("finish", HTMLButtonElement).addEventListener("click", () => this.#finish());
    this.#source.addEventListener("keydown", ({ key, ctrlKey, metaKey }) => {
      if (key === "Enter" && (ctrlKey || metaKey)) this.#finish();
    });
    this.#retry.addEventListener("click", () => this.#again());
    addEventListener("online", () => this.#again());
    addEventListener("pagehide", () => this.#session.abort());
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted) this.#restart();
    });
  }

  #again(): void {
    if (this.#session.isOver) this.#restart();
    else this.#session.retryNow();
  }

  #finish(): void {
    this.#session.commit().catch((error: ConvertError) => this.#typed(undefined, error));
  }

  async #copy(): Promise<void> {
    const rendering = this.#rendering();
    const plain = converted(this.#passages, rendering === "ruby" ? "hanja-hangul" : rendering);
    const types: Record<string, string> = { "text/plain": plain };
    if (rendering === "ruby") types["text/html"] = converted(this.#passages, "ruby");
    try {
      const blobs = Object.entries(types).map(([type, text]) => [type, new Blob([text], { type })] as const);
      await navigator.clipboard.write([new ClipboardItem(Object.fromEntries(blobs))]);
      this.#tell(this.#texts.copied);
    } catch {
      this.#tell(this.#texts.notCopied);
    }
  }
}

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

new Page();
