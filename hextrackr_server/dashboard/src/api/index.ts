export { authorization, setToken, takeTokenFromAddress, token } from "./credentials";
export { explain, isRefusal, RequestError, type FieldProblem, type Refusal } from "./errors";
export { address, api, type Upload } from "./http";
