/** The entry: it is small, so that the first paint waits for the frame and its styles only. */

void import("./app/start");
