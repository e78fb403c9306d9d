// Generated from docs/openapi/gateway.json: npm run types

export interface paths {
    "/api/v1/bancaire/clients/{client_id}/comptes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A client's accounts; none for a client that is not known. */
        get: operations["bancaire_comptes_of_client"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bancaire/comptes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Accounts by id, page by page. */
        get: operations["bancaire_comptes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bancaire/comptes/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One account. */
        get: operations["bancaire_compte"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bancaire/comptes/{id}/transactions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** An account's transactions, accepted and refused, newest first. */
        get: operations["bancaire_transactions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bancaire/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Health: `degraded` while something is away or the partitions are not read yet, `unhealthy`
         *     (503) when a person is needed.
         */
        get: operations["bancaire_health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bancaire/ledger": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The books: every record of every partition, accounted for. */
        get: operations["bancaire_books"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bancaire/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The bank in figures. */
        get: operations["bancaire_stats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dead-letters": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Dead letters, newest first. */
        get: operations["dead_letters"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dead-letters/{key}/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Publishes a dead letter again, as it was or mended. */
        post: operations["replay"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events/duplicate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Publishes the last acknowledged events again, unchanged: nothing may come of it. */
        post: operations["simulator_duplicate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events/poison": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Publishes malformed records, each of which must end as one dead letter. */
        post: operations["simulator_poison"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events/produce": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Publishes events, and answers when the broker has acknowledged them. */
        post: operations["simulator_produce"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How every part of the lab is. */
        get: operations["health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/kafka": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Brokers, topics, partitions, groups and who owns what. */
        get: operations["kafka"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/lab": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The lab's parts; 403 where this gateway does not control a lab. */
        get: operations["lab"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/lab/logs/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The last lines of a part's log. */
        get: operations["lab_logs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/lab/services/{name}/{action}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Breaks or mends a part; 202 when it is this gateway itself, which then goes away. */
        post: operations["lab_action"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/ledger": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The books: every record of every partition, accounted for. */
        get: operations["bancaire_root_books"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The numbers that the page shows. */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/records/{topic}/{partition}/{offset}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One record, whole. */
        get: operations["record"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/scenarios": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The scenarios that a simulation can follow, by name. */
        get: operations["simulator_scenarios"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/simulation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Changes the rate of the simulation that runs. */
        patch: operations["simulator_change"];
        trace?: never;
    };
    "/api/v1/simulation/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Starts a simulation; one runs at a time. */
        post: operations["simulator_start"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/simulation/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The simulation that runs, or the last one. */
        get: operations["simulator_status"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/simulation/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stops the simulation that runs, and waits for the broker's answers. */
        post: operations["simulator_stop"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The process runs. */
        get: operations["live"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** It streams: what is produced from now on reaches those who watch. */
        get: operations["ready"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A WebSocket of JSON text frames.
         * @description The client sends `ClientMessage`. The gateway sends `{type, topic?, timestamp, payload}`, where
         *     the payload is `StatusPayload`, `EventPayload`, `StatsPayload`, `LaggedPayload` or
         *     `ErrorPayload`, by the type `status`, `event`, `stats`, `lagged` or `error`.
         */
        get: operations["websocket"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description An account. */
        BancaireCompte: {
            client_id: string;
            /** Format: date-time */
            created_at: string;
            /** @example EUR */
            devise: string;
            id: string;
            /**
             * Format: int64
             * @description The number of its accepted transactions.
             */
            rang: number;
            /** @example 1234.56 */
            solde: string;
            /** @description `ACTIF`, `FERME` or `BLOQUE`. */
            statut: string;
            /** @example COURANT */
            type_compte: string;
            /** Format: date-time */
            updated_at: string;
        };
        BancaireComptes: {
            comptes: components["schemas"]["BancaireCompte"][];
        };
        /** @description A page of accounts. */
        BancaireComptesPage: {
            comptes: components["schemas"]["BancaireCompte"][];
            /** @description What `after` must be for the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description Counts of records. `next - first` is the sum of the six kinds; `in_flight` comes on top. */
        BancaireCounts: {
            /**
             * Format: int64
             * @description Offsets without a record.
             */
            absent: number;
            /**
             * Format: int64
             * @description Accepted: they moved a balance, opened or closed an account.
             */
            applied: number;
            /** @description True when every record is accounted for. */
            balanced: boolean;
            /** Format: int64 */
            dead_lettered: number;
            /**
             * Format: int64
             * @description Events that were seen before, with the same content.
             */
            duplicates: number;
            /**
             * Format: int64
             * @description Records in the log that are not consumed yet; `null` when the broker does not answer.
             */
            in_flight?: number | null;
            /**
             * Format: int64
             * @description Waiting for their account to be opened.
             */
            parked: number;
            /**
             * Format: int64
             * @description Refused, with a reason in the ledger.
             */
            rejected: number;
        };
        /** @description How the service and what it needs are. */
        BancaireHealthReport: {
            /** @description True while it reads its partitions. */
            consuming: boolean;
            /** @description `connected` or `disconnected`. */
            kafka: string;
            /** @description `connected` or `disconnected`. */
            postgres: string;
            /** @description What is wrong, and the way out where a person is needed. */
            reason?: string | null;
            status: components["schemas"]["BancaireStatus"];
        };
        /** @description Records in one partition that are not consumed yet. */
        BancaireLag: {
            /**
             * Format: int64
             * @description `null` when the broker does not answer.
             */
            lag?: number | null;
            /** Format: int32 */
            partition: number;
            topic: string;
        };
        /** @description All books. */
        BancaireLedger: {
            balanced: boolean;
            /** @description The Kafka cluster that the offsets belong to; `null` before the first assignment. */
            cluster_id?: string | null;
            /**
             * Format: int64
             * @description Dead letters that were published on `system.dlq`.
             */
            dead_letters_published: number;
            /**
             * Format: int64
             * @description Records that bancaire still has to publish.
             */
            outbox_pending: number;
            partitions: components["schemas"]["BancairePartitionLedger"][];
            topics: components["schemas"]["BancaireTopicLedger"][];
            totals: components["schemas"]["BancaireCounts"];
        };
        /** @description One partition's books. */
        BancairePartitionLedger: components["schemas"]["BancaireCounts"] & {
            /**
             * Format: int64
             * @description Where bancaire began to read.
             */
            first_offset: number;
            /**
             * Format: int64
             * @description The offset of the next record to be produced; `null` when the broker does not answer.
             */
            high_watermark?: number | null;
            /**
             * Format: int64
             * @description The offset of the next record to be consumed.
             */
            next_offset: number;
            /** Format: int32 */
            partition: number;
            topic: string;
        };
        /** @description The bank in figures. */
        BancaireStats: {
            /**
             * Format: int64
             * @description Accounts.
             */
            comptes: number;
            /** @description True when the balances are exactly what the accepted amounts come to. */
            conserved: boolean;
            /** Format: int64 */
            dead_letters: number;
            /** Format: int64 */
            duplicates: number;
            lag: components["schemas"]["BancaireLag"][];
            /** Format: int64 */
            outbox_pending: number;
            /** Format: int64 */
            parked: number;
            /** Format: int64 */
            rejected: number;
            /** @description The sum of all balances. */
            solde_total: string;
            sums: components["schemas"]["BancaireSum"][];
            /**
             * Format: int64
             * @description Accepted transactions.
             */
            transactions: number;
        };
        /**
         * @description How well the service does its work.
         * @enum {string}
         */
        BancaireStatus: "healthy" | "degraded" | "unhealthy";
        /** @description The sum of the accepted amounts of one type. */
        BancaireSum: {
            montant: string;
            /** Format: int64 */
            transactions: number;
            type: string;
        };
        /** @description One topic's books. */
        BancaireTopicLedger: components["schemas"]["BancaireCounts"] & {
            topic: string;
        };
        /** @description One row of the ledger: the verdict on one event. */
        BancaireTransaction: {
            /** @description Of an incoming transfer: the `event_id` of the transfer that caused it. */
            cause_id?: string | null;
            /**
             * Format: date-time
             * @description When it was decided.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When the event happened, by the producer's clock.
             */
            evenement_le: string;
            /** @description The `event_id` of its event. */
            id: string;
            /** @example 100.00 */
            montant: string;
            /** @description Why it was refused; absent when it was accepted. */
            motif_rejet?: string | null;
            /** Format: int64 */
            offset: number;
            /**
             * Format: int32
             * @description Where its event lies in the topic of its type.
             */
            partition: number;
            /**
             * Format: int64
             * @description Its number among the account's accepted ones; `null` when it was refused.
             */
            rang?: number | null;
            reference?: string | null;
            /** @description The balance after it; `null` when it was refused. */
            solde_apres?: string | null;
            /**
             * @description `OUVERTURE`, `CLOTURE`, `DEPOT`, `RETRAIT`, `VIREMENT_SORTANT`, `VIREMENT_ENTRANT` or
             *     `PAIEMENT_PRIME`.
             */
            type: string;
        };
        BancaireTransactions: {
            transactions: components["schemas"]["BancaireTransaction"][];
        };
        BrokerView: {
            host: string;
            /** Format: int32 */
            id: number;
            /** Format: int32 */
            port: number;
        };
        /** @enum {string} */
        ClientAction: "subscribe" | "unsubscribe";
        /** @description What a client may say. */
        ClientMessage: {
            action: components["schemas"]["ClientAction"];
            /**
             * Format: int32
             * @description Events per second and topic; above it the gateway sends samples. Without it, every event.
             */
            max_rate?: number | null;
            /** @description Names of topics; `*` is all of them. */
            topics: string[];
        };
        /** @description The cluster. */
        Cluster: {
            brokers: components["schemas"]["BrokerView"][];
            /** @description Changes when the broker's data is another. */
            cluster_id?: string | null;
            groups: components["schemas"]["GroupView"][];
            /** @description Without Kafka's internal ones. */
            topics: components["schemas"]["TopicView"][];
        };
        /** @description A value, as far as it can be read. */
        Decoded: {
            /** @description True when it could be read to its last byte. */
            complete: boolean;
            /** @description The fields that could be read, in the schema's order. */
            fields: Record<string, unknown>;
            /** @description The full name of the writer's schema; `null` when the registry does not give it. */
            schema?: string | null;
            /**
             * Format: int32
             * @description From the wire format's header; `null` when there is none.
             */
            schema_id?: number | null;
            /** @description Where reading stopped, and why. */
            stopped?: string | null;
        };
        /** @description Why a record could not be decoded. */
        DecodingError: {
            /** @description A word for programs, such as `bad_magic`. */
            kind: string;
            message: string;
        };
        /** @description What was done. */
        Done: {
            action: components["schemas"]["LabAction"];
            name: string;
            /** @description What xtask said. */
            output: string;
        };
        /** @description Payload of `error`: what the client said wrong; the socket stays open. */
        ErrorPayload: {
            detail: string;
        };
        /** @description Payload of `event`: one record. */
        EventPayload: {
            error?: components["schemas"]["DecodingError"] | null;
            /** @description The decoded event, or the dead letter; `null` when it cannot be decoded. */
            event?: Record<string, unknown> | null;
            /** @description Such as `CompteOuvert`; `DeadLetter` on `system.dlq`. */
            event_type: string;
            /** @description Bytes that are not UTF-8 are replaced. */
            key?: string | null;
            /**
             * Format: int64
             * @description From the record's own time until the gateway sent it; `null` when it has none.
             */
            latency_ms?: number | null;
            /** Format: int64 */
            offset: number;
            /** Format: int32 */
            partition: number;
            /** @description Of the value, in bytes. */
            size: number;
            trace_id?: string | null;
        };
        GroupView: {
            members: components["schemas"]["MemberView"][];
            name: string;
            /** @description `Stable`, `Empty`, `PreparingRebalance`, … */
            state: string;
        };
        /** @description All of them. */
        HealthReport: {
            /** @description gateway, simulator, bancaire, registry, kafka and postgres. */
            services: {
                [key: string]: components["schemas"]["PartHealth"];
            };
            /**
             * @description `degraded` while a part is away, `unhealthy` while nothing can flow: Kafka is away, or every
             *     service.
             */
            status: components["schemas"]["Status"];
            /** Format: int64 */
            uptime_seconds: number;
        };
        KafkaFigures: {
            /**
             * Format: int64
             * @description Records that bancaire has not read yet.
             */
            lag_total: number;
            /** Format: double */
            messages_per_second: number;
            /**
             * Format: int64
             * @description Records ever written to the topics of the lab.
             */
            messages_total: number;
            topics: components["schemas"]["TopicFigures"][];
        };
        /**
         * @description What can be done to a part.
         * @enum {string}
         */
        LabAction: "kill" | "stop" | "start" | "restart" | "pause" | "resume";
        /** @description The lab's parts. */
        LabReport: {
            available: boolean;
            /** @description `embedded`, `docker` or `external`. */
            backend?: string | null;
            parts: components["schemas"]["Part"][];
        };
        /** @description Payload of `lagged`: so many messages were skipped here, because the client read too slowly. */
        LaggedPayload: {
            /** Format: int64 */
            skipped: number;
        };
        /** @description Of the last minute, in milliseconds; `null` where nothing was measured. */
        Latencies: {
            /** @description The event's timestamp to its rows in PostgreSQL. */
            end_to_end_ms: components["schemas"]["Quantiles"];
            /** @description Produce call to the broker's acknowledgement, in the simulator. */
            produce_ms: components["schemas"]["Quantiles"];
        };
        LogLines: {
            /** @description Oldest first. */
            lines: string[];
        };
        MemberView: {
            client_id: string;
            host: string;
            id: string;
            partitions: components["schemas"]["PartitionName"][];
        };
        /** @description Everything. */
        MetricsReport: {
            kafka?: components["schemas"]["KafkaFigures"] | null;
            latencies: components["schemas"]["Latencies"];
            services: components["schemas"]["ServiceFigures"][];
            /** @description As `GET /api/v1/simulation/status` says; `null` while the simulator is away. */
            simulation?: Record<string, unknown> | null;
            /** Format: date-time */
            timestamp: string;
            /** Format: int64 */
            uptime_seconds: number;
            websocket: components["schemas"]["WebsocketFigures"];
        };
        /** @description A page of dead letters, newest first. */
        Page: {
            dead_letters: components["schemas"]["Shown"][];
            /** @description How many there are. */
            total: number;
        };
        Part: {
            /** @description Its process runs. */
            alive: boolean;
            healthy: boolean;
            /** @description The file that it logs to. */
            log: string;
            name: string;
            /** Format: int32 */
            pid?: number | null;
            /** Format: int32 */
            port: number;
            /** @description Why it is not healthy. */
            problem?: string | null;
            /** Format: int64 */
            rss_bytes?: number | null;
            /** @description `running`, `paused`, `dead` (it ended by itself or was killed) or `stopped`. */
            state: string;
            url: string;
        };
        /** @description One part. */
        PartHealth: {
            circuit?: components["schemas"]["State"] | null;
            /**
             * Format: double
             * @description How long it took to answer.
             */
            latency_ms?: number | null;
            /** @description What is wrong. */
            reason?: string | null;
            status: components["schemas"]["Status"];
        };
        PartitionName: {
            /** Format: int32 */
            partition: number;
            topic: string;
        };
        PartitionView: {
            /** @description By group: the offset of the next record that it will read, as it told the broker. */
            committed: {
                [key: string]: number;
            };
            /**
             * Format: int64
             * @description The offset of the next record.
             */
            high: number;
            /** Format: int32 */
            id: number;
            /** @description By group: records that it has not read yet. */
            lag: {
                [key: string]: number;
            };
            /**
             * Format: int32
             * @description The broker that leads it; -1 when none does.
             */
            leader: number;
            /**
             * Format: int64
             * @description The first offset that is still kept.
             */
            low: number;
            /** @description By group: the member that reads it; `null` when none does. */
            owner: {
                [key: string]: string | null;
            };
        };
        /** @description What went wrong, for a person and for a program. */
        Problem: Record<string, unknown> & {
            /** @description What was wrong in this case, and what would be right. */
            detail: string;
            /**
             * Format: int32
             * @description The HTTP status.
             */
            status: number;
            /** @description The status in words. */
            title: string;
            /** @description The trace in which it happened, when there is one. */
            trace_id?: string | null;
            /** @description A URI reference that names the kind; `about:blank` when the status says it all. */
            type: string;
        };
        Quantiles: {
            /** Format: double */
            p50?: number | null;
            /** Format: double */
            p99?: number | null;
        };
        RecentErrors: {
            /**
             * Format: date-time
             * @description When they were noticed.
             */
            at: string;
            /** Format: int64 */
            count: number;
            /** @description A word for programs, such as `bad_magic`. */
            kind: string;
        };
        /** @description A record. */
        Record: {
            error?: components["schemas"]["DecodingError"] | null;
            /** @description The event, or the dead letter. */
            event?: Record<string, unknown> | null;
            headers: {
                [key: string]: string;
            };
            /** @description Bytes that are not UTF-8 are replaced. */
            key?: string | null;
            /** Format: int64 */
            offset: number;
            /** Format: int32 */
            partition: number;
            /** @description The writer's schema, as it is registered. */
            schema?: Record<string, unknown> | null;
            /**
             * Format: int32
             * @description From the wire format's header.
             */
            schema_id?: number | null;
            /** @description Of the value, in bytes. */
            size: number;
            /**
             * Format: date-time
             * @description The record's own time.
             */
            timestamp?: string | null;
            topic: string;
            /** @description `null` for a tombstone. */
            value_base64?: string | null;
        };
        /** @description What to publish. */
        Replay: {
            /** @description The mended event; without it, the original bytes. */
            event?: Record<string, unknown> | null;
        };
        /** @description Where a letter was published again. */
        Replayed: {
            /** @description Of the mended event; `null` when the original bytes were published. */
            event_id?: string | null;
            /** Format: int64 */
            offset: number;
            /** Format: int32 */
            partition: number;
            topic: string;
        };
        ServiceFigures: {
            /** @description Newest first. */
            errors_recent: components["schemas"]["RecentErrors"][];
            /**
             * Format: double
             * @description Mean time of its own work on a batch or a message in the last minute; `null` without any.
             */
            latency_ms?: number | null;
            name: string;
            status: components["schemas"]["Status"];
        };
        /** @description A dead letter as it is shown: by the gateway and by `dlq --json`. */
        Shown: {
            /** Format: int32 */
            attempt_count: number;
            consumer_group: string;
            decoded?: components["schemas"]["Decoded"] | null;
            headers: {
                [key: string]: string;
            };
            /** @description `topic-partition-offset` of the original: names the letter everywhere. */
            key: string;
            /** @description A word for programs, such as `bad_magic`. */
            kind: string;
            /** @description A sentence for people. */
            message: string;
            /** Format: int64 */
            offset: number;
            original_topic: string;
            /** Format: int32 */
            partition: number;
            /** @description The record's key, bytes that are not UTF-8 replaced; `null` when it had none. */
            record_key?: string | null;
            replayed: boolean;
            /** @description Where it was published again, `topic-partition-offset` each. */
            replays: string[];
            /** @description Who refused it. */
            service: string;
            /**
             * Format: date-time
             * @description When it was refused.
             */
            timestamp: string;
            /** @description The record's value; `null` for a tombstone. */
            value_base64?: string | null;
        };
        /** @description Bounds of the amounts, in euros. */
        SimulatorAmounts: {
            /**
             * @default {
             *       "max": 5000,
             *       "min": 10
             *     }
             */
            depot?: components["schemas"]["SimulatorBounds"];
            /**
             * @default {
             *       "max": 20000,
             *       "min": 100
             *     }
             */
            ouverture?: components["schemas"]["SimulatorBounds"];
            /**
             * @default {
             *       "max": 400,
             *       "min": 15
             *     }
             */
            prime?: components["schemas"]["SimulatorBounds"];
            /**
             * @default {
             *       "max": 1000,
             *       "min": 10
             *     }
             */
            retrait?: components["schemas"]["SimulatorBounds"];
            /**
             * @default {
             *       "max": 3000,
             *       "min": 5
             *     }
             */
            virement?: components["schemas"]["SimulatorBounds"];
        };
        /** @description From and to, both included, in euros. */
        SimulatorBounds: {
            /** Format: double */
            max: number;
            /** Format: double */
            min: number;
        };
        /** @description What to change. */
        SimulatorChange: {
            /**
             * Format: double
             * @description Events per second.
             * @example 50
             */
            rate: number;
        };
        /** @description One sentence in each of the lab's languages. */
        SimulatorDescription: {
            en: string;
            fr: string;
        };
        /** @description How many events to publish again. */
        SimulatorDuplicate: {
            /**
             * Format: int64
             * @description 1 to 10000; 1 when left out. When fewer are remembered, those.
             * @example 1
             */
            count?: number | null;
        };
        /** @description What is in the log once more. */
        SimulatorDuplicated: {
            event_ids: string[];
            records_produced: number;
        };
        /** @description Acknowledged records that were faults of the scenario. */
        SimulatorFaultCounts: {
            /** Format: int64 */
            duplicates: number;
            /** Format: int64 */
            poison: number;
        };
        /** @description What goes wrong on purpose. Each is a probability per record, 0 to 1. */
        SimulatorFaults: {
            /**
             * Format: double
             * @description An event of a moment ago is published again, unchanged.
             * @default 0
             */
            duplicates?: number;
            /**
             * Format: double
             * @description A withdrawal, transfer or payment asks for more than the account holds.
             * @default 0.02
             */
            overdraft?: number;
            /**
             * Format: double
             * @description A malformed record is published in the place of an event.
             * @default 0
             */
            poison?: number;
            /**
             * @description Which malformations, drawn evenly.
             * @default [
             *       "truncated",
             *       "bad_magic",
             *       "unknown_schema_id",
             *       "tombstone",
             *       "empty"
             *     ]
             */
            poison_kinds?: components["schemas"]["SimulatorPoisonKind"][];
        };
        /**
         * @description How well the service does its work.
         * @enum {string}
         */
        SimulatorHealthStatus: "healthy" | "degraded";
        /**
         * @description What a simulation does now.
         * @enum {string}
         */
        SimulatorPhase: "running" | "stopping" | "stopped" | "failed";
        /** @description Which malformed records to publish. */
        SimulatorPoison: {
            /**
             * Format: int64
             * @description 1 to 10000; 1 when left out.
             * @example 1
             */
            count?: number | null;
            kind: components["schemas"]["SimulatorPoisonKind"];
            /**
             * @description A topic of events.
             * @example bancaire.depot.effectue
             */
            topic: string;
        };
        /**
         * @description What is wrong with a record.
         * @enum {string}
         */
        SimulatorPoisonKind: "truncated" | "bad_magic" | "unknown_schema_id" | "tombstone" | "empty" | "wrong_schema" | "huge_length";
        /** @description What is in the log now. */
        SimulatorPoisoned: {
            kind: components["schemas"]["SimulatorPoisonKind"];
            records_produced: number;
            topic: string;
        };
        /** @description Which events to publish. */
        SimulatorProduce: {
            /** @description The account concerned (of a transfer, the source); left out, one that was opened here. */
            compte_id?: string | null;
            /**
             * Format: int64
             * @description 1 to 10000; 1 when left out.
             * @example 1
             */
            count?: number | null;
            /** @description The event itself, as the schemas say it in JSON; then `count` is 1. */
            event?: Record<string, unknown> | null;
            /** @example CompteOuvert */
            event_type: string;
        };
        /** @description What is in the log now. */
        SimulatorProduced: {
            /** @description Accounts that had to be opened first; these events are not among the above. */
            comptes_opened?: string[];
            event_ids: string[];
            events_produced: number;
        };
        /** @description How the service and what it needs are. */
        SimulatorReport: {
            /** @description `connected` or `disconnected`. */
            kafka: string;
            /** @description What is missing. */
            reason?: string | null;
            /** @description `registered`, or `waiting` for the registry to take them. */
            schemas: string;
            status: components["schemas"]["SimulatorHealthStatus"];
        };
        /** @description What a simulation does. */
        SimulatorScenario: {
            amounts?: components["schemas"]["SimulatorAmounts"];
            description: components["schemas"]["SimulatorDescription"];
            /**
             * Format: double
             * @description Seconds, unless the start says otherwise; 0 = until it is stopped.
             */
            duration: number;
            faults?: components["schemas"]["SimulatorFaults"];
            /**
             * Format: int32
             * @description Accounts opened first, at the same rate; they count as events.
             */
            initial_accounts: number;
            /**
             * @description Lower-case letters, digits and hyphens.
             * @example default
             */
            name: string;
            /**
             * Format: double
             * @description Events per second, unless the start says otherwise.
             */
            rate: number;
            /** @description How often each event type is drawn, relative to the others. */
            weights: {
                [key: string]: number;
            };
        };
        /** @description The scenarios, and what may be asked for. */
        SimulatorScenarioList: {
            /**
             * Format: double
             * @description The most events per second.
             */
            max_rate: number;
            scenarios: components["schemas"]["SimulatorScenario"][];
        };
        /** @description What to simulate; what is left out is as the scenario says. */
        SimulatorStart: {
            /**
             * Format: double
             * @description Seconds; 0 = until it is stopped.
             * @example 60
             */
            duration?: number | null;
            /**
             * Format: double
             * @description Events per second.
             * @example 10
             */
            rate?: number | null;
            /**
             * @description One of `/api/v1/scenarios`; `default` when left out.
             * @example default
             */
            scenario?: string | null;
            /**
             * Format: int64
             * @description The same seed and scenario make the same events; left out, it differs each time.
             */
            seed?: number | null;
        };
        /** @description A simulation that has just started. */
        SimulatorStarted: {
            /**
             * Format: int64
             * @description To have the same events again.
             */
            seed: number;
            /** Format: uuid */
            simulation_id: string;
            status: components["schemas"]["SimulatorPhase"];
        };
        /** @description The simulation that runs, or the last one. */
        SimulatorStatus: {
            /** @description What was acknowledged, by the event of the topic that it went to. */
            by_type: {
                [key: string]: number;
            };
            /**
             * Format: double
             * @description Seconds; 0 = until it is stopped.
             */
            duration: number;
            /**
             * Format: double
             * @description Seconds from its start to now, or to its end.
             */
            elapsed_seconds: number;
            /**
             * Format: int64
             * @description Records that the broker acknowledged.
             */
            events_produced: number;
            /**
             * Format: int64
             * @description Records that the broker did not acknowledge in time: perhaps in the log, probably not.
             */
            failed: number;
            /** @description How much of that went wrong on purpose. */
            faults: components["schemas"]["SimulatorFaultCounts"];
            /**
             * Format: int64
             * @description Records that wait for the broker's answer.
             */
            in_flight: number;
            /**
             * Format: double
             * @description Events per second: of the last seconds while it runs, of the whole time when it has ended.
             */
            rate_actual: number;
            /**
             * Format: double
             * @description Events per second that are asked for.
             */
            rate_target: number;
            scenario?: string | null;
            /**
             * Format: int64
             * @description The same seed and scenario make the same events.
             */
            seed?: number | null;
            /** Format: uuid */
            simulation_id?: string | null;
            /** Format: date-time */
            started_at?: string | null;
            status: components["schemas"]["SimulatorPhase"];
        };
        /** @description A simulation that was told to stop. */
        SimulatorStopped: {
            /**
             * Format: int64
             * @description Records that the broker acknowledged.
             */
            events_produced: number;
            /** Format: uuid */
            simulation_id?: string | null;
            /** @description `stopped`; `stopping` while the broker has not answered for everything. */
            status: components["schemas"]["SimulatorPhase"];
        };
        /**
         * @description What it does with calls.
         * @enum {string}
         */
        State: "closed" | "open" | "half_open";
        /** @description Payload of `stats`. */
        StatsPayload: {
            topics: {
                [key: string]: components["schemas"]["TopicStats"];
            };
        };
        /**
         * @description How well a part does its work.
         * @enum {string}
         */
        Status: "healthy" | "degraded" | "unhealthy";
        /**
         * @description Payload of `status`: after the connection, after each change of subscription, and when the
         *     stream from Kafka breaks or comes back.
         */
        StatusPayload: {
            /** @description WebSocket clients now. */
            clients: number;
            /** @description True while Kafka answers. */
            connected: boolean;
            /** @description Subscribed now. Events produced after this message will come. */
            topics: string[];
        };
        TopicFigures: {
            /**
             * Format: int64
             * @description Of bancaire; `null` where it does not read.
             */
            lag?: number | null;
            /** Format: int64 */
            messages: number;
            /**
             * Format: double
             * @description Per second, over the last two seconds.
             */
            rate: number;
            topic: string;
        };
        TopicStats: {
            /**
             * Format: int64
             * @description Records since the gateway started.
             */
            count: number;
            /**
             * Format: double
             * @description Per second, over the last two seconds.
             */
            rate: number;
            /**
             * Format: int64
             * @description Events that this client's `max_rate` left out.
             */
            sampled_out: number;
        };
        TopicView: {
            name: string;
            partitions: components["schemas"]["PartitionView"][];
        };
        WebsocketFigures: {
            clients: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    bancaire_comptes_of_client: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                client_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BancaireComptes"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    bancaire_comptes: {
        parameters: {
            query?: {
                /** @description The id of the last account of the page before. */
                after?: string;
                /** @description Accounts on a page, 1 to 500; 50 without it. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BancaireComptesPage"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    bancaire_compte: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BancaireCompte"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    bancaire_transactions: {
        parameters: {
            query?: {
                /** @description Transactions at most, 1 to 1000; 10 without it. */
                limit?: number;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BancaireTransactions"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    bancaire_health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BancaireHealthReport"];
                };
            };
            /** @description It does not go on without a person */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BancaireHealthReport"];
                };
            };
        };
    };
    bancaire_books: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BancaireLedger"];
                };
            };
        };
    };
    bancaire_stats: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BancaireStats"];
                };
            };
        };
    };
    dead_letters: {
        parameters: {
            query?: {
                /** @description Dead letters at most, 1 to 500; 50 without it. */
                limit?: number;
                /** @description The key of the last one of the page before. */
                before?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    replay: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description topic-partition-offset of the original */
                key: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Replay"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Replayed"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    simulator_duplicate: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SimulatorDuplicate"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SimulatorDuplicated"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is nothing to repeat */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    simulator_poison: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SimulatorPoison"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SimulatorPoisoned"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    simulator_produce: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SimulatorProduce"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SimulatorProduced"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The broker did not acknowledge all of them in time; the members events_produced and event_ids say which it did */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HealthReport"];
                };
            };
        };
    };
    kafka: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Cluster"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    lab: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LabReport"];
                };
            };
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    lab_logs: {
        parameters: {
            query?: {
                /** @description The last lines, 1 to 1000; 40 without it. */
                lines?: number;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogLines"];
                };
            };
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    lab_action: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
                action: components["schemas"]["LabAction"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Done"];
                };
            };
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Done"];
                };
            };
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    bancaire_root_books: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BancaireLedger"];
                };
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MetricsReport"];
                };
            };
        };
    };
    record: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                topic: string;
                partition: number;
                offset: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Record"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    simulator_scenarios: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SimulatorScenarioList"];
                };
            };
        };
    };
    simulator_change: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SimulatorChange"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SimulatorStatus"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description None runs */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    simulator_start: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SimulatorStart"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SimulatorStarted"];
                };
            };
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description One has not ended */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    simulator_status: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SimulatorStatus"];
                };
            };
        };
    };
    simulator_stop: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SimulatorStopped"];
                };
            };
            /** @description None runs */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    live: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    ready: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    websocket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The socket is open */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The token is missing */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The page's origin may not listen */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not a WebSocket */
            426: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description As many clients as may are watching */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
}
