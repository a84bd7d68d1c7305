/** Prompts of the world that the shipped model knows; each has an order of events worth planning. */
export const EXAMPLES = [
  "In the park, a girl in a red coat walks to the box, then she jumps over it while a dog runs to the left.",
  "A boy kicks the ball to a girl; after that she picks it up and waves at him.",
  "At night, a cat chases a mouse, then the mouse hides and the cat sits down.",
  "A man carries a box to the tree and puts it down before a dog runs to it.",
] as const;
