// A photo from the camera, where the browser lets the page ask for it.
import { element } from "../dom.js";
import { Failure } from "../failure.js";

/** Why there is no picture, by the name of the browser's error. @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: "the browser was not allowed to use it",
  NotFoundError: "there is none on this machine",
  NotReadableError: "another program is using it",
};

export class Camera {
  /** @type {MediaStream | null} */
  #stream = null;
  /** Grows when the camera is asked for and when it is closed: a picture that comes too late is not wanted. */
  #turn = 0;

  /** @param {{ taken: (picture: Blob) => void, failed: (error: unknown) => void }} options */
  constructor({ taken, failed }) {
    this.taken = taken;
    this.failed = failed;
    this.video = element("video", { muted: true, playsinline: true, "aria-label": "what the camera sees" });
    this.take = element("button", { type: "button", class: "lab-main", onclick: () => this.#take() }, "Take it");
    const cancel = element("button", { type: "button", onclick: () => this.close() }, "Cancel");
    this.stage = element(
      "div",
      { class: "lab-camera", hidden: true },
      this.video,
      element("div", { class: "lab-row" }, this.take, cancel),
    );
    this.button = element("button", { type: "button", onclick: () => this.open().catch(failed) }, "Camera");
    const has = globalThis.isSecureContext && navigator.mediaDevices;
    this.buttons = has ? [this.button] : [];
  }

  async open() {
    this.close();
    const turn = this.#turn;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      if (turn !== this.#turn) return stop(stream);
      this.#stream = stream;
    } catch (error) {
      const name = error instanceof Error ? error.name : "";
      throw new Failure(`The camera gives no picture: ${REASONS[name] ?? String(error)}. Choose a file instead.`);
    }
    this.stage.hidden = false;
    this.take.focus();
    this.video.srcObject = this.#stream;
    await this.video.play().catch((error) => {
      if (turn === this.#turn) throw error;
    });
  }

  close() {
    this.#turn += 1;
    if (this.#stream) stop(this.#stream);
    this.#stream = null;
    this.video.srcObject = null;
    if (this.stage.contains(document.activeElement)) this.button.focus();
    this.stage.hidden = true;
  }

  #take() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    this.close();
    canvas.toBlob((picture) => {
      if (picture) this.taken(picture);
      else this.failed(new Failure("The camera gave no picture. Try again, or choose a file."));
    });
  }
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
