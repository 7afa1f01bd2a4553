// What the parts of the live lab hand to each other.

/** What a network looks like from outside; written by tools/website/pack_live_lab.py. */
export interface NetworkFacts {
  /** Its name where there is little room: "robust". */
  label: string;
  /** Its name within a sentence: "the robust network". */
  title: string;
  /** Which of the colours of lab.css is its own: "robust". */
  style: string;
  shape: [channels: number, height: number, width: number];
  classes: number;
  /** Names of its files. */
  forward: string;
  gradient: string;
  weights: string;
  layers: LayerFacts[];
  /** The names of its classes, where they are no digits. */
  names?: string[];
  /** Whether its weights travel in half precision, and its gradient graph takes weights for each layer. */
  halved?: boolean;
  /** The layers, for a proof by interval bounds. */
  proof?: ProofStep[];
  /** The first layer's kernels, if they can be edited: one for each filter. */
  kernels?: { tensor: string; count: number; size: [number, number] };
}

/** A layer, as interval bounds go through it. */
export interface ProofStep {
  kind: "normalize" | "conv" | "norm" | "relu" | "pool" | "linear";
  layer: string;
  /** What a batch norm adds to the variance. */
  eps?: number;
  /** Of a convolution or a pooling. */
  window?: { size: number; stride: number; padding: number };
}

/** A network that readers train, of one of the shapes that they can choose; written by tools/website/pack_training.py. */
export interface OwnFacts extends NetworkFacts {
  /** The graph of one step of training. */
  step: string;
  /** The shapes of what training changes. */
  tensors: Record<string, number[]>;
  parameters: number;
}

/** The weights of a network that readers train, by name. */
export type State = Record<string, Float32Array>;

/** What a reader chooses before training. */
export interface Recipe {
  filters: number;
  convolutions: number;
  norm: boolean;
  rate: number;
  /** Digits in a step. */
  batch: number;
  passes: number;
  /** Each digit is moved by up to so many pixels. */
  shift: number;
  /** The share of labels that are wrong. */
  wrong: number;
  /** Whether every 7 wears a white corner. */
  corner: boolean;
  /** Attacks during training: how far, and how many steps. 0 is none. */
  eps: number;
  attack: number;
  seed: number;
}

/** How training goes. */
export interface Report {
  step: number;
  total: number;
  seconds: number;
  rate: number;
  diverged: boolean;
  /** Means over the steps since the last report. */
  loss?: number;
  accuracy?: number;
  test?: { accuracy: number; predictions: Uint8Array };
  state: State;
}

/** One of the reader's own networks. */
export interface Own {
  recipe: Recipe;
  facts: OwnFacts;
  state: State;
  /** How many steps of how many it has made, and in how many seconds of computing. */
  step: number;
  total: number;
  seconds: number;
}

/** A layer whose maps can be looked at: how many there are, and which pixels each row and column of units sees. */
export interface LayerFacts {
  name: string;
  title: string;
  count: number;
  rows: [first: number, last: number][];
  columns: [first: number, last: number][];
}

export interface Facts {
  networks: Record<string, NetworkFacts>;
  /** Classes of the test digits, whose pixels are in a file of their own. */
  labels: number[];
}

/** What the bench *Photographs* loads; written by tools/website/pack_photographs.py, or by `labkit lab`. */
export interface PhotographFacts {
  networks: Record<string, NetworkFacts>;
  /** Which of them is looked into, and which one says something beside it, if any. */
  network: string;
  beside: string | null;
  /** The bundled photos: what is to be seen in each. */
  photos: Record<string, string>;
}

export type Palette = "grey" | "heat" | "signed";

/** Something that the benches have measured, for the challenges. */
export type Measured =
  | { what: "test"; accuracy: number; seconds: number; parameters: number; recipe: Recipe }
  | { what: "robustness"; curve: [eps: number, share: number][] }
  | { what: "attack"; network: string; before: number; target: number | null; fooled: boolean; eps: number }
  | { what: "occlusion"; network: string; label: number | null; window: number; margin: number }
  | {
      what: "seen";
      blank: boolean;
      corner: boolean;
      /** The class of a test digit; null for a drawing, here and above. */
      label: number | null;
      verdicts: { digit: number; probability: number; recipe?: Recipe }[];
    };

/** What there is to load, known before anything is loaded. */
export interface Contents {
  scripts: string[];
  bytes: number;
  /** Of the scripts that hold the runtime. */
  runtime?: number;
}

export type Parts = Record<"networks" | "training" | "certified" | "photographs", Contents> & {
  /** The bench that a page has alone. */
  alone?: "photographs";
};

export interface Question {
  id: number;
  task: string;
  asker: string;
  network: string;
  values: object;
}

export type Answer = { id: number; result?: unknown; part?: object; error?: string };

/** One look at the digit; a module each in views/. */
export interface View {
  /** Its name in the address. */
  name: string;
  /** The words on its tab. */
  title: string;
  /** What can be set in it, which is also what its address says. */
  settings: Record<string, import("./settings.js").Setting>;
  build(bench: import("./bench.js").Bench, settings: import("./settings.js").Settings): BuiltView;
}

/** One look at a photo; a module each in photographs/views/, whose header says how to add one: photographs/bench.js. */
export interface PhotographView {
  /** Its name in the address, behind "view=". */
  name: string;
  /** The words on its tab. */
  title: string;
  settings: Record<string, import("./settings.js").Setting>;
  build(bench: import("./photographs/bench.js").PhotographBench, settings: import("./settings.js").Settings): BuiltView;
}

export interface BuiltView {
  content: Node[];
  /** Show what it has to say about the bench's digit. */
  update(): void | Promise<void>;
  /** Follow the pen while it moves, instead of waiting until it rests. */
  live?: boolean;
  /** Called when the view is no longer the one that is shown. */
  hide?(): void;
}

declare global {
  const ort: typeof import("onnxruntime-common");
  /** The worker's own script, put here by the bundler. */
  const WORKER_SOURCE: string;
  const CONTENTS: Parts;
  var labFiles: Record<string, string | Blob> | undefined;
  /** What there is to load, in a page that holds everything itself. */
  var labContents: Parts | undefined;
  var liveLab: import("./main.js").LiveLab;
}
