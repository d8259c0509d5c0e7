/** One of several processes behind a shared port: serves each connection with its own name, and tells when it has let go. */
import { openDoor, type PortGrant, type PortHandle } from "../src/door.ts";

const name = process.argv[2] ?? "";
let take: (grant: PortGrant) => void = () => undefined;

process.on("message", ({ connectionsMax }: { readonly connectionsMax: number }, handle: unknown) =>
  take({ connectionsMax, ...(handle === undefined ? {} : { handle: handle as PortHandle }) }),
);
process.on("disconnect", () => process.exit());

const shared = {
  host: "127.0.0.1",
  port: 0,
  follow: (grants: (grant: PortGrant) => void): void => {
    take = grants;
  },
};
const opening = openDoor(shared, 1000, {
  connection: (socket) => {
    socket.on("error", () => undefined);
    socket.write(name);
  },
  refused: () => undefined,
  full: () => process.send?.("full"),
});
process.send?.("begun");
const door = await opening;
process.send?.(`listening ${door.port}`);
