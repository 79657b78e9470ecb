// Prints "ready" after the connection, then the arguments of the first "user-started-editing".
// Arguments: URL, token, transports separated by commas.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/zishang520/socket.io/clients/engine/v3/transports"
	"github.com/zishang520/socket.io/clients/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

const limit = 270 * time.Second

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	available := map[string]transports.TransportCtor{
		"polling": transports.Polling, "websocket": transports.WebSocket,
	}
	chosen := types.NewSet[transports.TransportCtor]()
	for _, name := range strings.Split(os.Args[3], ",") {
		chosen.Add(available[name])
	}
	options := socket.DefaultOptions()
	options.SetAuth(map[string]any{"token": os.Args[2]})
	options.SetReconnection(false)
	options.SetTransports(chosen)
	client, err := socket.Connect(os.Args[1], options)
	check(err)
	client.On("connect", func(...any) { fmt.Println("ready") })
	client.On("connect_error", func(errors ...any) { fmt.Fprintln(os.Stderr, errors...) })
	client.On("user-started-editing", func(values ...any) {
		line, err := json.Marshal(values)
		check(err)
		fmt.Println(string(line))
		os.Exit(0)
	})
	time.Sleep(limit)
	fmt.Fprintln(os.Stderr, "no event within", limit)
	os.Exit(1)
}
