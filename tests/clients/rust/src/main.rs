//! Prints `ready` after the connection, then the arguments of the first `user-started-editing`.
//! Arguments: URL, token, transports separated by commas.
use rust_socketio::{ClientBuilder, Event, Payload, RawClient, TransportType};
use serde_json::json;
use std::{env, process, thread, time::Duration};

const LIMIT: Duration = Duration::from_secs(270);

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let transport = match arguments[3].as_str() {
        "polling" => TransportType::Polling,
        "websocket" => TransportType::Websocket,
        "polling,websocket" => TransportType::WebsocketUpgrade,
        other => panic!("unknown transports: {other}"),
    };
    let show = |payload: Payload, _: RawClient| {
        let Payload::Text(values) = payload else {
            eprintln!("expected text, got {payload:?}");
            process::exit(1);
        };
        println!("{}", json!(values));
        process::exit(0);
    };
    let _client = ClientBuilder::new(&arguments[1])
        .auth(json!({ "token": arguments[2] }))
        .transport_type(transport)
        .reconnect(false)
        .on(Event::Connect, |_, _| println!("ready"))
        .on(Event::Error, |error, _| eprintln!("error: {error:?}"))
        .on("user-started-editing", show)
        .connect()
        .expect("the client must connect");
    thread::sleep(LIMIT);
    eprintln!("no event within {LIMIT:?}");
    process::exit(1);
}
