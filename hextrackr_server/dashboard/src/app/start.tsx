import "../styles/main.css";
import { render } from "preact";
import { takeTokenFromAddress } from "../api";
import { parse, route, watchAddress } from "./router";
import { start, watchCookie, watchUser } from "./session";
import { Shell } from "./shell";
import { applyTheme } from "./theme";
import { watchBrowser } from "../live";
import { watchNotices } from "../live/notices";

takeTokenFromAddress();
route.value = parse(location.hash); // without the token of a link
applyTheme();
watchBrowser();
watchNotices();
watchCookie();
watchUser();
watchAddress(() => {
  // A link that is opened in this tab may belong to another user.
  if (takeTokenFromAddress()) location.reload();
});
void start();
render(<Shell />, document.getElementById("app")!);
