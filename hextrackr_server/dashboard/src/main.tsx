import { render } from "preact";
import { watchAddress, route, parse } from "./app/router";
import { signInFromAddress, start, watchCookie } from "./app/session";
import { Shell } from "./app/shell";
import { applyTheme } from "./app/theme";
import { watchBrowser } from "./live";

applyTheme();
watchBrowser();
watchCookie();
watchAddress(signInFromAddress);
if (!signInFromAddress()) void start();
route.value = parse(location.hash); // without the token of a link
render(<Shell />, document.getElementById("app")!);
