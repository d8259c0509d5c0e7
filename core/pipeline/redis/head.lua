-- Prelude of the scripts that know a producer's head.
-- Field `head` of a producer's hash: "epoch seq part prev_epoch prev_seq offered received_us low_epoch low_seq " and then, raw, hash and prev_hash.
-- (low_epoch, low_seq) is the last sequence number of this producer whose frame trimming has removed, or that came from the sink: nothing up to
-- it can be compared any more.
local zero = string.rep('\0', 32)
local head_pattern = '^(%d+) (%d+) (%-?%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) '

local function no_head()
  return { epoch = 0, seq = 0, part = -1, prev_epoch = 0, prev_seq = 0, offered = 0, received_us = 0, low_epoch = 0, low_seq = 0, hash = zero, prev_hash = zero }
end

local function decode_head(raw)
  if not raw then return no_head() end
  local _, last, epoch, seq, part, prev_epoch, prev_seq, offered, received_us, low_epoch, low_seq = string.find(raw, head_pattern)
  return {
    epoch = tonumber(epoch), seq = tonumber(seq), part = tonumber(part), prev_epoch = tonumber(prev_epoch), prev_seq = tonumber(prev_seq),
    offered = tonumber(offered), received_us = tonumber(received_us), low_epoch = tonumber(low_epoch), low_seq = tonumber(low_seq),
    hash = string.sub(raw, last + 1, last + 32), prev_hash = string.sub(raw, last + 33, last + 64)
  }
end

local function encode_head(h)
  return string.format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f ', h.epoch, h.seq, h.part, h.prev_epoch, h.prev_seq, h.offered, h.received_us,
    h.low_epoch, h.low_seq) .. h.hash .. h.prev_hash
end
