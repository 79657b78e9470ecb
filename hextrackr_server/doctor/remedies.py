"""The remedy of each problem that an examination finds, with the lines for nginx and HAProxy.

The lines are those of docs/deployment.md and docs/scaling.md.
"""

from __future__ import annotations

from typing import Final

from hextrackr_server.doctor.finding import Remedy

#: The remedies by the codes of findings.
REMEDIES: Final = {
    "unreachable": Remedy(
        "Start the server or its proxy, and compare host and port of the URL with the "
        "configuration.",
        nginx="listen 443 ssl;",
        haproxy="bind :443 ssl crt /etc/ssl/hextrackr-with-key.pem alpn http/1.1",
    ),
    "certificate": Remedy(
        "Install a certificate for this host name together with its intermediate certificates. "
        "For a private authority, name its file with --ca.",
        nginx="ssl_certificate /etc/ssl/hextrackr.pem;  # the certificate, then the intermediate "
        "ones",
        haproxy="bind :443 ssl crt /etc/ssl/hextrackr-with-key.pem",
    ),
    "certificate-expiry": Remedy("Renew the certificate, and reload the proxy."),
    "gateway": Remedy(
        "The proxy does not reach the server: start the server, and compare its address with the "
        "configuration of the proxy.",
        nginx="proxy_pass http://127.0.0.1:8090;",
        haproxy="server hub 127.0.0.1:8090",
    ),
    "redirect": Remedy(
        "Use the address behind the redirect for clients and for this command: WebSockets do not "
        "follow redirects. If it is the page of a login, exclude the path of Socket.IO, whose "
        "clients authenticate with tokens.",
    ),
    "http-2": Remedy(
        "Offer HTTP/1.1 on this port: polling and WebSockets of all clients use it.",
        nginx="listen 443 ssl;  # without http2, or with TLS, which offers both versions",
        haproxy="bind :443 ssl crt /etc/ssl/hextrackr-with-key.pem alpn http/1.1  # no proto h2",
    ),
    "proxy-protocol": Remedy(
        "Only one of two neighbors uses the PROXY protocol, which clients and this server do not "
        "use: accept it where another proxy sends it, and send it to no server of Socket.IO.",
        nginx="listen 443 ssl;  # without proxy_protocol, and no proxy_protocol on;",
        haproxy="# remove accept-proxy in the line bind, and send-proxy in the line server",
    ),
    "client-certificate": Remedy(
        "Users need a certificate in their browser: install one for each user, or do not require "
        "it for the path of Socket.IO, whose clients authenticate with tokens.",
        nginx="ssl_verify_client optional;  # and a test of $ssl_client_verify in other locations",
        haproxy="bind :443 ssl crt /etc/ssl/hextrackr-with-key.pem ca-file ... verify optional",
    ),
    "forbidden": Remedy(
        "Remove the rule for the path of Socket.IO. The rule may concern this command only: its "
        "address, or its User-Agent.",
        nginx="# no deny, limit_except or return 403 in this location",
        haproxy="# remove http-request deny",
    ),
    "no-application": Remedy(
        "Wait for some seconds after a start. Otherwise the log of the hub has the reason, such as "
        "a database that cannot be opened; `hextrackr-server check` examines the settings.",
    ),
    "refused": Remedy(
        "The log of the server has the reason, such as `allow_request`, a middleware, or the list "
        "of allowed origins.",
    ),
    "handshake": Remedy(
        "Some requests of a client reach another server or another rule of the proxy: forward all "
        "requests of the path of Socket.IO to one server.",
        nginx="upstream hub { hash $remote_addr consistent; server ...; server ...; }",
        haproxy="balance source\nhash-type consistent",
    ),
    "no-response": Remedy(
        "The log of the proxy has the reason: a server that does not respond, a rule for the "
        "method or the path, or a timeout.",
        nginx="error_log /var/log/nginx/error.log info;",
        haproxy="option httplog",
    ),
    "scheme": Remedy(
        "Use https:// in the URL for a port with TLS, and http:// for a port without. Clients "
        "should use TLS.",
        nginx="listen 443 ssl;",
        haproxy="bind :443 ssl crt /etc/ssl/hextrackr-with-key.pem alpn http/1.1",
    ),
    "login": Remedy(
        "Clients cannot answer a login dialog of the proxy: exclude the path of Socket.IO, whose "
        "clients authenticate with tokens. For this command, the URL may contain the login: "
        "https://user:password@hextrackr.example.",
        nginx="location /socket.io/ { auth_basic off; auth_request off; proxy_pass "
        "http://127.0.0.1:8090; }",
        haproxy="http-request auth unless { path_beg /socket.io/ } or { http_auth(USERS) }",
    ),
    "full": Remedy(
        "The log of the server has the reason. Behind a proxy, set `trusted_proxies`: without it, "
        "all clients share the address of the proxy. Otherwise raise `max_sessions_per_address` "
        "or `max_sessions` (of the hub: `max_connections`), or wait until a server that is "
        "shutting down is replaced.",
        nginx="proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        haproxy="option forwardfor",
    ),
    "rate-limit": Remedy(
        "Exclude the path of Socket.IO from limits of the request rate, or raise them: a page "
        "sends several requests at its start, and a polling client one for each event. If there "
        "is no limit, the server has ended.",
        nginx="# no limit_req in this location, or with burst=100 nodelay",
        haproxy="# remove http-request deny with sc_http_req_rate",
    ),
    "query": Remedy(
        "Forward the query of the request: a proxy_pass with a variable in its path does not "
        "append it.",
        nginx="proxy_pass http://127.0.0.1:8090;  # with a variable: ...$is_args$args",
        haproxy="# remove http-request set-query",
    ),
    "post": Remedy(
        "Forward POST requests together with their bodies.",
        nginx="# remove limit_except and proxy_pass_request_body off",
        haproxy="# remove http-request deny for METH_POST",
    ),
    "path": Remedy(
        "Forward the path /socket.io/ unchanged. A proxy_pass with a path at its end replaces the "
        "path of the request.",
        nginx="location / { proxy_pass http://127.0.0.1:8090; }  # no slash at the end",
        haproxy="default_backend hub  # no http-request replace-path for /socket.io/",
    ),
    "not-ready": Remedy(
        "The server does not accept work: read its log. `hextrackr-server check` examines its "
        "settings and its database.",
    ),
    "clock": Remedy(
        "Synchronize the clocks of this machine, the proxy and the server, for example with "
        "chrony: tokens and sessions end at the wrong time otherwise.",
    ),
    "cache": Remedy(
        "Exclude the path of Socket.IO from the cache.",
        nginx="location /socket.io/ { proxy_cache off; proxy_pass http://127.0.0.1:8090; }",
        haproxy="http-request cache-use NAME unless { path_beg /socket.io/ }",
    ),
    "delayed": Remedy(
        "Forward polls and posts at once: switch off buffering and limits of the request rate for "
        "the path of Socket.IO.",
        nginx="proxy_buffering off;\nproxy_request_buffering off;\n"
        "# and no limit_req in this location",
        haproxy="no option http-buffer-request",
    ),
    "sticky": Remedy(
        "Send all requests of a client to one server, or run the servers as workers of one "
        "supervisor, which need no stickiness.",
        nginx="upstream hub { hash $remote_addr consistent; server ...; server ...; }",
        haproxy="balance source\nhash-type consistent",
    ),
    "sticky-cookie": Remedy(
        "The stickiness needs cookies. Clients of other origins need the option "
        "`withCredentials: true`; programs must keep cookies. Hashing the address needs neither.",
        nginx="upstream hub { hash $remote_addr consistent; server ...; server ...; }",
        haproxy="balance source\nhash-type consistent",
    ),
    "upgrade-header": Remedy(
        "Forward the headers Upgrade and Connection: without them, all clients stay on polling.",
        nginx="proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\n"
        "proxy_set_header Connection $connection_upgrade;  # with a map, see docs/deployment.md",
        haproxy="# HAProxy forwards both: remove del-header Upgrade and option httpclose,\n"
        "# and offer HTTP/1.1 only: bind :443 ssl crt ... alpn http/1.1",
    ),
    "host": Remedy(
        "Forward the Host header: the server compares it with the origin of the page.",
        nginx="proxy_set_header Host $http_host;",
        haproxy="# HAProxy forwards it: remove http-request set-header Host",
    ),
    "idle": Remedy(
        "Set the idle timeouts of the proxy above the ping interval and the ping timeout together.",
        nginx="proxy_read_timeout 60s;\nproxy_send_timeout 60s;",
        haproxy="timeout client 60s\ntimeout server 60s\ntimeout tunnel 60s",
    ),
    "no-ping": Remedy(
        "The ping of the server did not arrive: the proxy buffers what the server sends.",
        nginx="proxy_buffering off;",
        haproxy="# HAProxy does not buffer: examine the proxies in front of it",
    ),
    "body-limit": Remedy(
        "Allow bodies of the size that the server accepts. In Caddy, this is max_size of "
        "request_body.",
        nginx="client_max_body_size 110m;",
        haproxy="# HAProxy has no limit: remove http-request deny with req.body_size",
    ),
    "cors-duplicate": Remedy(
        "Let only the server send CORS headers: browsers refuse two values.",
        nginx="# remove add_header Access-Control-Allow-Origin, or hide those of the server:\n"
        "proxy_hide_header Access-Control-Allow-Origin;",
        haproxy="# remove http-response add-header Access-Control-Allow-Origin",
    ),
    "cors-missing": Remedy(
        "Add the origin to the allowed ones: HEXTRACKR_CORS_ORIGINS of the hub, `cors=Cors("
        "origins=[...])` of a server. If it is there, the proxy removes the headers.",
        nginx="# remove proxy_hide_header Access-Control-Allow-Origin",
        haproxy="# remove http-response del-header Access-Control-Allow-Origin",
    ),
    "cors-credentials": Remedy(
        "Send Access-Control-Allow-Credentials, or use clients without `withCredentials`: name the "
        "origins instead of `*`.",
    ),
    "cors-preflight": Remedy(
        "Forward OPTIONS requests to the server.",
        nginx="# remove limit_except and if ($request_method = OPTIONS)",
        haproxy="# remove http-request deny or return for METH_OPTIONS",
    ),
    "cors-open": Remedy(
        "Any page can use the cookies of your users. Name the allowed origins in the server, and "
        "remove CORS headers of the proxy.",
        nginx="# remove add_header Access-Control-Allow-Origin $http_origin",
        haproxy="# remove http-response set-header Access-Control-Allow-Origin",
    ),
    "cookie": Remedy(
        "Set the attributes of the cookie where it is created.",
        nginx="proxy_cookie_flags ~ secure httponly samesite=lax;",
        haproxy="cookie SERVER insert indirect nocache httponly secure",
    ),
    "public-metrics": Remedy(
        "Block the paths of metrics at the proxy, and let no proxy add the metrics token.",
        nginx="location = /metrics { return 404; }\nlocation = /socket-metrics { return 404; }",
        haproxy="http-request return status 404 if { path /metrics /socket-metrics }",
    ),
    "public-ingest": Remedy(
        "Block the reports of producers at the proxy, if no producer is outside of your network.",
        nginx="location /ingest/ { return 404; }",
        haproxy="http-request return status 404 if { path_beg /ingest/ }",
    ),
    "descriptors": Remedy(
        "Raise the limit of open files of the server: LimitNOFILE=65536 in the systemd unit, or "
        "`ulimit -n 65536` before the start. The proxy needs two per client.",
        nginx="worker_rlimit_nofile 65536;\nevents { worker_connections 32768; }",
        haproxy="maxconn 32768  # in the section global",
    ),
}
