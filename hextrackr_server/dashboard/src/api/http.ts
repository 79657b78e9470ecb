/** HTTP requests with the login of the user; every failure is a RequestError. */

import { authorization } from "./credentials";
import { isRefusal, RequestError } from "./errors";

const SECONDS = 30;

/** Return the address of a path below the page, which may be under the prefix of a proxy. */
export function address(path: string, query: Record<string, string> = {}): string {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

async function send<T>(method: string, path: string, body?: unknown, seconds = SECONDS): Promise<T> {
  const headers: Record<string, string> = { ...authorization(), accept: "application/json" };
  const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(address(path), { ...init, signal: AbortSignal.timeout(seconds * 1000) });
  } catch (error) {
    throw unreachable(error, seconds);
  }
  return answerOf<T>(response.status, await response.text().catch(() => ""));
}

function unreachable(error: unknown, seconds = SECONDS): RequestError {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return new RequestError("TIMEOUT", `The server did not answer within ${seconds} seconds`);
  }
  return new RequestError("OFFLINE", "The server is not reachable");
}

function answerOf<T>(status: number, text: string): T {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    // A proxy answers with its own page, for example 413 or 502.
    throw new RequestError("INVALID_ANSWER", `The server answered with status ${status}`);
  }
  if (isRefusal(answer)) throw RequestError.from(answer);
  if (status >= 400) {
    throw new RequestError("INVALID_ANSWER", `The server answered with status ${status}`);
  }
  return answer as T;
}

/** A running upload: its answer, and a function that aborts it. */
export interface Upload<T> {
  answer: Promise<T>;
  abort: () => void;
}

/** Send a file as a form; `onProgress` receives the sent and the total bytes. */
function upload<T>(
  path: string,
  file: File,
  fields: Record<string, string> = {},
  onProgress: (sent: number, total: number) => void = () => {},
): Upload<T> {
  const form = new FormData();
  // The hub reads the fields that precede the file.
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("csvFile", file, file.name);
  // fetch reports no progress of a request body.
  const request = new XMLHttpRequest();
  const answer = new Promise<T>((resolve, reject) => {
    request.open("POST", address(path));
    for (const [name, value] of Object.entries(authorization())) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded, total);
    request.onload = () => {
      try {
        resolve(answerOf<T>(request.status, request.responseText));
      } catch (error) {
        reject(error as Error);
      }
    };
    request.onerror = () =>
      reject(new RequestError("OFFLINE", "The connection to the server ended during the upload"));
    request.onabort = () => reject(new RequestError("CANCELLED", "The upload was canceled"));
    request.send(form);
  });
  return { answer, abort: () => request.abort() };
}

/** Fetch a file with the login of the user, and offer it as a download. */
async function download(path: string, filename: string): Promise<void> {
  let response: Response;
  try {
    response = await fetch(address(path), { headers: authorization(), credentials: "same-origin" });
  } catch (error) {
    throw unreachable(error);
  }
  if (!response.ok) answerOf<never>(response.status, await response.text());
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const api = {
  get: <T>(path: string): Promise<T> => send<T>("GET", path),
  /** `seconds` is the time limit of a request that takes long on the server. */
  post: <T>(path: string, body?: unknown, seconds?: number): Promise<T> =>
    send<T>("POST", path, body, seconds),
  upload,
  download,
};
