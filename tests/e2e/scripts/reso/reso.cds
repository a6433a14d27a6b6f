// A part of RESO's Data Dictionary. The server sends 50 rows a page, whatever it is asked for.
@path: '/reso/odata'
@cds.query.limit: { max: 50 }
service Reso {
  entity Property {
    key ListingKey            : String(50);
        ListPrice             : Integer;
        StandardStatus        : String(50);
        PropertyType          : String(50);
        City                  : String(50);
        StateOrProvince       : String(2);
        PostalCode            : String(10);
        ModificationTimestamp : Timestamp;
  }
}
