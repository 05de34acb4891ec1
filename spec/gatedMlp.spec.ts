import { describeLaws } from './support.ts';

describeLaws('gatedMlp');
