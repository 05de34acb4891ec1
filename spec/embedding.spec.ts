import { describeLaws } from './support.ts';

describeLaws('embedding');
