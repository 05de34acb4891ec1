import type { UserConfig } from 'vite';

export default {
  // the page may lie in any folder of a server
  base: './',
  build: {
    target: 'es2022',
    // its polyfill fetches, which the page's policy forbids
    modulePreload: { polyfill: false },
  },
} satisfies UserConfig;
