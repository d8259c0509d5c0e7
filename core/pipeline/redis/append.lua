-- Appends each frame that is its producer's next: sequence, epoch, hash chain and XADD in one step. Mirrors append_machine.ts line by line.
-- KEYS  1 partition's state · 2 its log · 3 its revoked set · 4 … the producers' hashes, each once
-- ARGV  1 generation · 2 partition to which the frames were sent · 3 registry version of the gate · 4 least offset of the partition's end that the gate
--       knows of · then twelve for each frame:
--       its producer's place among the KEYS, epoch, first_seq, count, offered, prev_epoch, prev_seq, and raw: meta (begins with hash and
--       prev_hash), header, signature, verdicts, payload
-- Gives {'judged', received_us, then for each frame {verdict, off or '', head or '', stored or '', meta of the entry that a duplicate repeats or ''}},
--       or {'generation', the true one}, {'paused', reason}, {'stale_registry'}, {'occupied', off of the last entry} where another one follows it.
-- The first write is an XADD (or the HSET under a duplicate), so a server that is out of memory refuses the call before anything has changed.
local state = redis.call('HMGET', KEYS[1], 'generation', 'off', 'received_us', 'paused', 'version_min')
if state[1] ~= ARGV[1] then return { 'generation', state[1] or '' } end
if state[4] and state[4] ~= '' then return { 'paused', state[4] } end
if tonumber(ARGV[3]) < tonumber(state[5]) then return { 'stale_registry' } end
-- A replica that lagged has become the master, or an old state was brought back: what comes now would stand in the place of what had receipts.
if tonumber(state[2]) < tonumber(ARGV[4]) then return { 'paused', 'log_lost' } end

local target = tonumber(ARGV[2])
local off = tonumber(state[2])
local received_us = math.max(tonumber(state[3]), clock_us())
local received = text(received_us)
local answer = { 'judged', received }
local last_hash = nil
local barrier = false

-- By place among the KEYS. All are looked at before the first write, so that a script which cannot go on has changed nothing.
local producers, ids = {}, {}
for place = 4, #KEYS do ids[place - 3] = string.sub(KEYS[place], -36) end
local revoked = redis.call('SMISMEMBER', KEYS[3], unpack(ids))
for place = 4, #KEYS do
  local key = KEYS[place]
  local found = redis.call('HMGET', key, 'head', 'stored')
  -- What this call has taken: each frame's field, and where it is; written with the head, in one step.
  producers[place] = { key = key, head = decode_head(found[1]), stored = found[2] or '', exists = found[1] and true, revoked = revoked[place - 3] == 1,
    taken = {}, off_of = {} }
end

local function frame_field(epoch, first_seq) return 'f:' .. epoch .. '.' .. first_seq end

-- What the log holds at this place: 'frame' and its meta, 'none' or 'trimmed'.
local function known_at(producer, epoch, first_seq)
  local name = frame_field(epoch, first_seq)
  local at = producer.off_of[name] or redis.call('HGET', producer.key, name)
  if at then
    local meta = meta_of(redis.call('XRANGE', KEYS[2], at .. '-0', at .. '-0')[1])
    if meta then return 'frame', meta end
    -- Somebody has removed or changed the entry by hand. Nobody can compare any more, and nobody is accused without evidence.
    return 'trimmed', nil
  end
  local head = producer.head
  if tonumber(epoch) == head.low_epoch and tonumber(first_seq) <= head.low_seq then return 'trimmed' end
  return 'none'
end

for a = 5, #ARGV, 12 do
  local producer = producers[tonumber(ARGV[a])]
  local head = producer.head
  local epoch, first_seq = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local meta = ARGV[a + 7]
  local hash, prev_hash = string.sub(meta, 1, 32), string.sub(meta, 33, 64)
  local verdict
  local at, known_meta = '', ''
  if producer.revoked then
    verdict = 'revoked'
  elseif epoch > head.epoch then
    verdict = 'gap'
  elseif epoch == head.epoch and first_seq > head.seq + 1 then
    verdict = 'gap'
  elseif epoch < head.epoch or first_seq <= head.seq then
    local known, found = known_at(producer, ARGV[a + 1], ARGV[a + 2])
    if known == 'frame' and string.sub(found, 1, 32) == hash then
      verdict = 'duplicate'
      known_meta = found
    elseif epoch < head.epoch then
      verdict = 'fenced'
    elseif known == 'trimmed' then
      verdict = 'duplicate'
    else
      verdict = 'equivocation'
    end
    barrier = barrier or verdict == 'duplicate'
  else
    local prev_epoch, prev_seq = tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6])
    local continues
    if head.seq > 0 then
      continues = prev_epoch == head.epoch and prev_seq == head.seq and prev_hash == head.hash
    else
      continues = prev_epoch == head.prev_epoch and prev_seq == head.prev_seq and prev_hash == head.prev_hash
    end
    if not continues then
      verdict = 'equivocation'
    elseif head.part ~= target then
      verdict = 'misrouted'
    else
      verdict = 'accepted'
      off = off + 1
      at = text(off)
      local reply = redis.pcall('XADD', KEYS[2], at .. '-0', 't', received, 'm', meta, 'h', ARGV[a + 8], 's', ARGV[a + 9], 'v', ARGV[a + 10], 'b', ARGV[a + 11])
      -- Of a call the first one fails, or none.
      if is_occupied(reply) then return { 'occupied', text(off - 1) } end
      if type(reply) == 'table' and reply.err then return reply end
      local name, taken = frame_field(ARGV[a + 1], ARGV[a + 2]), producer.taken
      producer.off_of[name] = at
      taken[#taken + 1] = name
      taken[#taken + 1] = at
      head.seq = first_seq + tonumber(ARGV[a + 3]) - 1
      head.hash = hash
      head.offered = tonumber(ARGV[a + 4])
      head.received_us = received_us
      last_hash = hash
    end
  end
  local shown = ''
  if verdict ~= 'revoked' and producer.exists then shown = encode_head(head) end
  answer[#answer + 1] = { verdict, at, shown, producer.stored, known_meta }
end

for _, producer in pairs(producers) do
  if #producer.taken > 0 then redis.call('HSET', producer.key, 'head', encode_head(producer.head), unpack(producer.taken)) end
end
if last_hash then
  redis.call('HSET', KEYS[1], 'off', text(off), 'received_us', received, 'hash', last_hash)
elseif barrier then
  -- A duplicate is answered behind the same flush and the same replicas as what it repeats: only a write makes the server wait for them (R-4).
  redis.call('HSET', KEYS[1], 'barrier', received)
end
return answer
