// Attention in the page: the same definitions as course_lib.in_numpy, on plain arrays.
// Put in front of every widget's own module; a browser test compares it with NumPy.

/** exp(s_i) / sum_j exp(s_j) of n scores. The largest is subtracted to keep exp finite. */
function softmax(scores) {
  const max = Math.max(...scores);
  const exp = scores.map((score) => Math.exp(score - max));
  const sum = exp.reduce((total, x) => total + x, 0);
  return exp.map((x) => x / sum);
}

/** Softmax over the scores whose mask is true; zeros elsewhere, or if none is. */
function maskedSoftmax(scores, mask = scores.map(() => true)) {
  if (!mask.includes(true)) return scores.map(() => 0);
  return softmax(scores.map((score, i) => (mask[i] ? score : -Infinity)));
}

/** Matrix product: (n, m) times (m, p). */
function matmul(a, b) {
  return a.map((row) =>
    b[0].map((_, j) => row.reduce((sum, x, i) => sum + x * b[i][j], 0)));
}

/** (n_q, n_k) dot products of (n_q, d_k) and (n_k, d_k), over sqrt(d_k) if `scale`. */
function dotProductScores(query, key, scale = false) {
  const divisor = scale ? Math.sqrt(query[0].length) : 1;
  const transposed = key[0].map((_, j) => key.map((row) => row[j]));
  return matmul(query, transposed).map((row) => row.map((score) => score / divisor));
}

/** Weights (n_q, n_k) and output (n_q, d_v) of scores, values and a mask or none. */
function attend(scores, value, mask) {
  const weights = scores.map((row, i) => maskedSoftmax(row, mask?.[i]));
  return { weights, output: matmul(weights, value) };
}

/** Scores before the temperature; weights = softmax(scores / temperature); output. */
function attention({ query, key, value, mask, temperature = 1, scale = false }) {
  const scores = dotProductScores(query, key, scale);
  const cooled = scores.map((row) => row.map((score) => score / temperature));
  return { scores, ...attend(cooled, value, mask) };
}
