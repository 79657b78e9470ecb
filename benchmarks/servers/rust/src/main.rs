//! Benchmark server with socketioxide on axum and tokio, in a release build:
//!
//!     benchmarks/setup-compiled
//!     build/benchmarks/rust/release/bench-socketioxide --port P [--threads many] [--msgpack]
//!
//! The server behaves like `servers/ours.py`. By default one thread runs everything (tokio's
//! `current_thread` runtime), as the other servers of the benchmark do; `--threads many` is the
//! runtime of a deployment, with one thread per core.

use std::{env, time::Duration};

use axum::Router;
use serde_json::Value;
use socketioxide::{
    ParserConfig, SocketIo,
    extract::{AckSender, Data, SocketRef},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{SignalKind, signal},
};

// The allocator that projects of this kind usually choose: it needs less CPU time than that of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Arguments {
    port: u16,
    is_single: bool,
    is_msgpack: bool,
}

fn parse_arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        port: 0,
        is_single: true,
        is_msgpack: false,
    };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--port" => {
                let value = words.next().unwrap_or_default();
                arguments.port = value
                    .parse()
                    .map_err(|_| format!("--port must be a number, got {value:?}"))?;
            }
            "--threads" => match words.next().as_deref() {
                Some("one") => arguments.is_single = true,
                Some("many") => arguments.is_single = false,
                value => return Err(format!("--threads must be one or many, got {value:?}")),
            },
            "--msgpack" => arguments.is_msgpack = true,
            _ => return Err(format!("unknown argument {word:?}")),
        }
    }
    Ok(arguments)
}

fn main() {
    let arguments = match parse_arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("bench-socketioxide: {problem}");
            std::process::exit(2);
        }
    };
    let mut runtime = if arguments.is_single {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    runtime
        .enable_all()
        .build()
        .expect("the runtime starts")
        .block_on(serve(arguments));
}

async fn serve(arguments: Arguments) {
    // The benchmark sends SIGUSR2 before it reads the memory of a server; there is no garbage here.
    let mut requests = signal(SignalKind::user_defined2()).expect("a handler of SIGUSR2");
    tokio::spawn(async move { while requests.recv().await.is_some() {} });
    let builder = SocketIo::builder()
        .ping_interval(Duration::from_secs(25))
        .ping_timeout(Duration::from_secs(20))
        .max_buffer_size(100_000); // packets per connection: a broadcast must not close slow clients
    let listener = listen(arguments.port);
    if arguments.is_msgpack {
        let (layer, io) = builder.with_parser(ParserConfig::msgpack()).build_layer();
        io.ns("/", connected);
        run(listener, Router::new().layer(layer)).await;
    } else {
        let (layer, io) = builder.build_layer();
        io.ns("/", connected);
        run(listener, Router::new().layer(layer)).await;
    }
}

async fn run(listener: TcpListener, router: Router) {
    axum::serve(listener, router)
        .await
        .expect("the server runs until SIGTERM");
}

fn listen(port: u16) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option of the socket");
    socket
        .bind(([127, 0, 0, 1], port).into())
        .expect("a free port");
    socket.listen(4096).expect("a listening socket")
}

async fn connected(socket: SocketRef) {
    socket.join("r");
    socket.on("echo", async |Data::<Value>(data), ack: AckSender| {
        let _ = ack.send(&data);
    });
    socket.on("msg", async |Data::<Value>(_data)| {});
    socket.on(
        "bcast",
        async |io: SocketIo, Data::<Value>(data), ack: AckSender| {
            let _ = io.to("r").emit("update", &data).await;
            let _ = ack.send(&1);
        },
    );
}
