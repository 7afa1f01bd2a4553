// Arithmetic that the page and its worker share.

/** @typedef {ArrayLike<number>} Numbers */

/** The place of the largest number. @param {Numbers} values */
export function best(values) {
  let place = 0;
  for (let at = 1; at < values.length; at++) if (values[at] > values[place]) place = at;
  return place;
}

/** The largest distance from 0, never 0 itself, so that one can divide by it. @param {Numbers} values */
export function extent(values) {
  let most = 1e-9;
  for (let at = 0; at < values.length; at++) most = Math.max(most, Math.abs(values[at]));
  return most;
}

/** Softmax. @param {Numbers} logits */
export function probabilities(logits) {
  const largest = logits[best(logits)];
  const weights = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** The class that a network sees, and how sure it is. @param {Numbers} logits */
export function verdict(logits) {
  const digit = best(logits);
  const probability = probabilities(logits)[digit];
  return { digit, probability, text: `${digit}, ${percent(probability)}` };
}

/** As the book's figures round: never 100% for what is not certain. @param {number} probability */
export function percent(probability) {
  if (probability > 0.999) return "> 99.9%";
  return probability < 0.001 ? "< 0.1%" : `${(100 * probability).toFixed(1)}%`;
}

/** A share in whole percents. @param {number} share */
export const wholePercent = (share) => `${Math.round(100 * share)}%`;

/** A number within its bounds. @param {number} value @param {number} least @param {number} most */
export function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

/** How far the logit of a class is ahead of the largest other one. @param {Numbers} logits @param {number} digit */
export function margin(logits, digit) {
  let other = -Infinity;
  for (let at = 0; at < logits.length; at++) if (at !== digit) other = Math.max(other, logits[at]);
  return logits[digit] - other;
}

/** The middle one of some numbers. @param {number[]} values */
export function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
