import "./backoff";
import "./due";
import "./filters";
import "./format";
import "./pages";
import "./samples";
import "./retry";
import "./router";
