export { PlanEditor } from "./PlanEditor";
export { PlanTrack } from "./PlanTrack";
export { PlanDiff } from "./PlanDiff";
export { diffPlans, type PlanDifference } from "./model/diff";
export { parse, PlanError, toJson } from "./model/rules";
