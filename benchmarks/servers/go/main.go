// Benchmark server with zishang520/socket.io on net/http:
//
//	benchmarks/setup-compiled
//	build/benchmarks/go/bench-socketio --port P
//
// The server behaves like servers/ours.py. GOMAXPROCS=1 runs the handlers on one thread, as in the other servers of
// the benchmark; without it, the server uses all cores.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/zishang520/socket.io/servers/socket/v3"
)

func main() {
	port := flag.Int("port", 0, "port to listen on")
	flag.Parse()

	// The benchmark sends SIGUSR2 before it reads the memory of a server.
	requests := make(chan os.Signal, 1)
	signal.Notify(requests, syscall.SIGUSR2)
	go func() {
		for range requests {
			debug.FreeOSMemory()
		}
	}()

	options := socket.DefaultServerOptions()
	options.SetPingInterval(25 * time.Second)
	options.SetPingTimeout(20 * time.Second)
	options.SetServeClient(false)
	server := socket.NewServer(nil, nil)
	if err := server.On("connection", func(clients ...any) { connected(server, clients[0].(*socket.Socket)) }); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", server.ServeHandler(options))
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, mux))
}

func connected(server *socket.Server, client *socket.Socket) {
	client.Join("r")
	listeners := map[string]func(...any){
		"echo": func(args ...any) {
			if ack := findAck(args); ack != nil {
				ack([]any{args[0]}, nil)
			}
		},
		"msg": func(...any) {},
		"bcast": func(args ...any) {
			if err := server.To("r").Emit("update", args[0]); err != nil {
				log.Print(err)
			}
			if ack := findAck(args); ack != nil {
				ack([]any{1}, nil)
			}
		},
	}
	for name, listener := range listeners {
		if err := client.On(name, listener); err != nil {
			log.Fatal(err)
		}
	}
}

// findAck returns the ack function that the library passes as the last argument, or nil.
func findAck(args []any) socket.Ack {
	if len(args) == 0 {
		return nil
	}
	ack, _ := args[len(args)-1].(socket.Ack)
	return ack
}
