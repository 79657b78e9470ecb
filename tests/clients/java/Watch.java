import io.socket.client.IO;
import io.socket.client.Socket;
import java.net.URI;
import java.util.Arrays;
import java.util.Map;
import org.json.JSONArray;

/**
 * Prints {@code ready} after the connection, then the arguments of the first
 * {@code user-started-editing}. Arguments: URL, token, transports separated by commas.
 */
public class Watch {
    private static final long LIMIT_MS = 270_000;

    public static void main(String[] arguments) throws InterruptedException {
        IO.Options options = new IO.Options();
        options.auth = Map.of("token", arguments[1]);
        options.transports = arguments[2].split(",");
        options.reconnection = false;
        Socket socket = IO.socket(URI.create(arguments[0]), options);
        // An upgrade takes place after the connection; the event may use either transport.
        socket.on(Socket.EVENT_CONNECT, none -> print("ready"));
        socket.on(Socket.EVENT_CONNECT_ERROR, error -> System.err.println(Arrays.toString(error)));
        socket.on("user-started-editing", values -> {
            print(new JSONArray(Arrays.asList(values)).toString());
            System.exit(0);
        });
        socket.connect();
        Thread.sleep(LIMIT_MS);
        System.err.println("no event within " + LIMIT_MS + " ms");
        System.exit(1);
    }

    private static void print(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
