"""Sources and build of the dashboard; `http.dashboard_files` reads the build."""
