import { describeLaws } from './support.ts';

describeLaws('swigluMlp');
