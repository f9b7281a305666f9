// kafkajs: kafkajs_client.js COMMAND BOOTSTRAP ARGUMENT...

const { Kafka, PartitionAssigners, logLevel } = require('kafkajs')

const [command, bootstrap, ...args] = process.argv.slice(2)

function say(...words) {
  process.stdout.write(words.join(' ') + '\n')
}

// One member of a group, until standard input ends: a line for each thing that happens to it.
async function group(topic, groupId, assignor, session, heartbeat) {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: Number(session),
    heartbeatInterval: Number(heartbeat),
    maxWaitTimeInMs: 200,
    partitionAssigners: [PartitionAssigners[assignor]],
  })
  let owned = null
  let leaving = false

  function release(what) {
    if (owned) say(what, owned.join(','))
    owned = null
  }
  consumer.on(consumer.events.REBALANCING, () => release('revoked'))
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    // Without a rebalance before, the member was not known any more.
    release('lost')
    owned = payload.memberAssignment[topic] || []
    say('assigned', owned.join(','))
  })
  consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => {
    for (const { partitions } of payload.topics) {
      for (const { partition, offset } of partitions) say('committed', partition, offset)
    }
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) throw payload.error
  })

  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommitInterval: 200,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary }) => {
      for (const { offset } of batch.messages) {
        if (leaving) return
        say('record', batch.partition, offset)
        resolveOffset(offset)
        await heartbeat()
        await commitOffsetsIfNecessary()
      }
    },
  })

  process.stdin.resume()
  process.stdin.on('end', async () => {
    leaving = true
    release('revoked')
    await consumer.disconnect()
    process.exit(0)
  })
}

const COMMANDS = { group }
COMMANDS[command](...args)
