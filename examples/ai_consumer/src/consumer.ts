/**
 * Why: the whole of what a consumer has to do, and how it may be killed between any two lines of it.
 * Enforces: one decision for each attack, however often the attack is delivered: its id is made from the attack's, so that the stream stores it once; the
 *   attack is acknowledged after its decision is durable, never before.
 * Forbids: knowing where streams lie, who publishes attacks, or who reads decisions.
 */
import { type MessageQueueManager, type RunningConsumer, StreamName, uuidV5 } from "ransomeye-pipeline";
import type { Model } from "./model.ts";

/** All instances of this consumer share the attacks. */
export const aiGroup = "group:ai_processor";

export interface AiConsumerOptions {
  readonly queue: MessageQueueManager;
  readonly model: Model;
  /** Attacks that this instance holds at once, fetched and not decided: what a kill delays until their lease ends. */
  readonly prefetch?: number;
  /** Told after each decision that is durable: its id, and whether it had been published before. */
  readonly onDecision?: (decision: { readonly id: string; readonly verdict: string; readonly repeated: boolean }) => void;
}

/** The id of the decision about an attack. */
export function decisionId(attackId: string): string {
  return uuidV5(StreamName.aiDecisions, aiGroup, attackId);
}

/** Decides about attacks until `queue.stopConsumer` or `queue.close`. */
export function startAiConsumer({ queue, model, prefetch = 4, onDecision }: AiConsumerOptions): RunningConsumer {
  return queue.startConsumer({
    stream: StreamName.attacks,
    group: aiGroup,
    prefetch,
    handle: async (message, { signal }) => {
      // One that an operator has sent again out of the dead letters is still the same attack.
      const about = message.redriven?.message_id ?? message.message_id;
      const judgement = await model(message.payload, signal);
      const { kind, messageId } = await queue.publishWhenRoom(
        StreamName.aiDecisions,
        { about, ...judgement },
        { messageId: decisionId(about), priority: message.priority, signal },
      );
      // Returning acknowledges. A kill before it means that the attack comes again, is judged again, and that its decision is already there.
      onDecision?.({ id: messageId, verdict: judgement.verdict, repeated: kind === "duplicate" });
    },
  });
}
