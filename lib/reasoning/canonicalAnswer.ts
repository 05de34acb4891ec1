/** STAND-IN, replaced by the branch `answers` on merge: trims, `\dfrac` as `\frac`, no zeros behind the point. */

export function canonicalAnswer(answer: string): string {
  return answer
    .trim()
    .replaceAll('\\dfrac', '\\frac')
    .replace(/^(-?\d+)\.0+$/, '$1');
}
