// What the network is given: the chosen part of the photo, in its size.
import { colourPicture } from "../colour_picture.js";

/** @import {PhotographView} from "../../types.js" */

/** @type {PhotographView} */
export const see = {
  name: "see",
  title: "See",
  settings: {},

  build(bench) {
    const seen = colourPicture("what the network sees", bench.size);
    const update = () => seen.show(bench.image);
    return { content: [seen.figure], update };
  },
};
