// SPDX-License-Identifier: Apache-2.0
import { BoardView } from "./BoardView";
import { host } from "./host";

export default function HostPage() {
        return <BoardView board={host} />;
}
