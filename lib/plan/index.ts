/** Plans: a model's wiring as data, what it costs, and a plain way to run it. */

export type { Columns, Plan, PlanOp, PlanStep, StateSlot } from '../../backends/plan.ts';
export { buildPlan } from './buildPlan.ts';
export {
  type CostEntry,
  costByOp,
  costOf,
  type Load,
  type StepCost,
  totalCost,
  trafficOf,
} from './cost.ts';
export { describePlan, type PlanLine } from './describe.ts';
export { plainExecutor } from './plainExecutor.ts';
