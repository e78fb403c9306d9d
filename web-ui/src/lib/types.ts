/**
 * The shapes of the gateway's answers, by the names that the page uses. They are generated from
 * its OpenAPI document (`npm run types`); nothing is described twice.
 */

import type { components } from '@/lib/openapi';

type G = components['schemas'];

/** RFC 9457; what is no service's answer has a title and status at least. */
export type Problem = Partial<G['Problem']> & { title: string; status: number };

/** What a start says; the page always says all of it. */
export type SimulationConfig = Whole<Pick<G['SimulatorStart'], 'scenario' | 'rate' | 'duration'>>;
export type SimulationStatus = G['SimulatorStatus'];
export type Scenario = G['SimulatorScenario'];
export type Scenarios = G['SimulatorScenarioList'];
export type Started = G['SimulatorStarted'];
export type Stopped = G['SimulatorStopped'];
export type Produced = G['SimulatorProduced'];
export type Poisoned = G['SimulatorPoisoned'];
export type Duplicated = G['SimulatorDuplicated'];
export type PoisonKind = G['SimulatorPoisonKind'];

export type Compte = G['BancaireCompte'];
export type ComptesPage = G['BancaireComptesPage'];
export type Transaction = G['BancaireTransaction'];
export type Transactions = G['BancaireTransactions'];
export type Counts = G['BancaireCounts'];
export type Ledger = G['BancaireLedger'];

export type ServiceName = 'gateway' | 'simulator' | 'bancaire' | 'registry' | 'kafka' | 'postgres';
export type Health = G['HealthReport'];
export type Metrics = G['MetricsReport'];

export type KafkaCluster = G['Cluster'];
export type KafkaPartition = G['PartitionView'];
export type KafkaRecord = G['Record'];

export type DeadLetter = G['Shown'];
export type DeadLetters = G['Page'];
export type Replayed = G['Replayed'];

export type Lab = G['LabReport'];
export type LabAction = G['LabAction'];
export type LabDone = G['Done'];
export type LogLines = G['LogLines'];

type Whole<T> = { [Key in keyof T]-?: NonNullable<T[Key]> };
