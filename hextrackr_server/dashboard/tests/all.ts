import "./backoff";
import "./filters";
import "./format";
import "./pages";
