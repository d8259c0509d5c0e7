// Why: text from outside is bounded in many places, and half of a surrogate pair is text that UTF-8, databases and terminals refuse.
// Enforces: a cut makes no half pair; one that was there before stays.

/** The first `charsMax` UTF-16 units of `text`, or one fewer where the last would be the first half of a pair. */
export function cutText(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const last = text.charCodeAt(charsMax - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? charsMax - 1 : charsMax);
}
