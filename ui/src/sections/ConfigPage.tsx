// SPDX-License-Identifier: Apache-2.0
import { useApi } from "../lib/api";
import { Loaded, PageTitle } from "../ui/parts";
import { Yaml } from "./Yaml";

export default function ConfigPage() {
        const query = useApi<{ yaml: string }>("status/config");
        return (
                <>
                        <PageTitle>Configuration</PageTitle>
                        <Loaded query={query}>{(data) => <Yaml text={data.yaml} label="The configuration in force" />}</Loaded>
                </>
        );
}
