// Serves made-up listings by SAP's OData server over an in-memory database, until it is killed.
// Prints "listening on PORT" when it does. Usage: node server.js LISTINGS
const cds = require('@sap/cds')
const express = require('express')

const MONTH = 30 * 24 * 3600 * 1000

function listing(number) {
  return {
    ListingKey: `L${String(number).padStart(5, '0')}`,
    ListPrice: 100000 + number,
    StandardStatus: number % 4 ? 'Active' : 'Closed',
    PropertyType: number % 8 === 1 ? 'Residential Lease' : 'Residential',
    City: number % 3 ? 'Indianapolis' : "O'Fallon",
    StateOrProvince: 'IN',
    PostalCode: '46201',
    ModificationTimestamp: new Date(Date.now() - MONTH + number * 1000).toISOString(),
  }
}

async function main() {
  cds.env.requires.auth = { kind: 'dummy' }
  // In WebAssembly, so that nothing has to be compiled.
  cds.env.requires.db = {
    kind: 'sqlite', impl: '@cap-js/sqlite', driver: 'sql.js', credentials: { url: ':memory:' },
  }
  const app = express()
  cds.model = cds.compile.for.nodejs(await cds.load(`${__dirname}/reso.cds`))
  cds.db = await cds.connect.to('db')
  await cds.deploy(cds.model).to(cds.db)
  await cds.serve('all').from(cds.model).in(app)
  const listings = [...Array(Number(process.argv[2])).keys()].map(listing)
  await cds.db.run(INSERT.into('Reso.Property').entries(listings))
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`))
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
