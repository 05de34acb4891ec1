/** From a Transformer to a recurrent model: students that begin with what a teacher's attention has learned. */

export { namedWeights } from '../plan/weights.ts';
export { type DistilOptions, type DistilResult, distil } from './distil.ts';
export {
  convertFurther,
  type InitOptions,
  initFromAttention,
  type ModelWithWeights,
} from './initFromAttention.ts';
export {
  plain,
  STAGES,
  type StageInput,
  type StageName,
  stageOf,
} from './stages.ts';
export {
  STUDENT_KINDS,
  type StudentKind,
  type StudentOptions,
  studentConfig,
} from './studentConfig.ts';
