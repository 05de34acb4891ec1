import { describeLaws } from './support.ts';

describeLaws('semiseparableChunked', 'semiseparableMatrix');
