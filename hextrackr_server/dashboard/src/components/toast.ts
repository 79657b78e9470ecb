/** Short messages in the corner of the page; the part that shows them is loaded with the first. */

export interface Toast {
  title: string;
  description?: string;
  kind?: "info" | "good" | "warning" | "error";
}

type Show = (toast: Toast) => void;

let loading: Promise<{ show: Show }> | null = null;

/** Show a message for some seconds; screen readers read it. */
export function toast(message: Toast): void {
  loading ??= import("./toaster");
  loading.then(
    ({ show }) => show(message),
    () => (loading = null), // offline: the next message tries again
  );
}
