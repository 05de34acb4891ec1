/** The words that word problems are told in. All of them are in the vocabulary. */

export const NAMES = ['Tom', 'Anna', 'Ben', 'Mia', 'Sam', 'Lily'] as const;

export const OBJECTS = ['apples', 'pears', 'coins', 'books', 'cards', 'shells'] as const;

/** What makes someone's things more or fewer. */
export const GAINING = ['buys', 'finds', 'gets'] as const;
export const LOSING = ['loses', 'sells', 'eats'] as const;

/** Everything else that the sentences are made of. */
export const GLUE = [
  ...['has', 'have', 'gives', 'How', 'many', 'do', 'does', 'in', 'all', 'and', 'more', 'fewer'],
  ...['than', 'boxes', 'of', 'half', 'the', 'to', 'then', 'times', 'as', '.', '?'],
] as const;
