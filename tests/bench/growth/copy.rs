//! Copies rows within the database, whatever columns their table has.

use sqlx::PgConnection;

/// Columns and the expressions of their values.
pub(crate) type Values = &'static [(&'static str, &'static str)];

/// A column: its name and its type.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) data_type: String,
}

/// The begin of a statement that inserts into all columns of a table: these values, or those of a copied row.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    table: &str,
    values: Values,
    copied: impl Fn(&Column) -> String,
) -> String {
    let columns = columns(conn, table).await;
    let value = |column: &Column| {
        let own = values.iter().find(|(name, _)| *name == column.name);
        own.map_or_else(|| copied(column), |(_, value)| (*value).to_owned())
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let names: Vec<String> = columns.into_iter().map(|column| column.name).collect();
    format!("insert into {table} ({}) select {}", names.join(", "), values.join(", "))
}

/// The columns that are not generated.
async fn columns(conn: &mut PgConnection, table: &str) -> Vec<Column> {
    let columns = "select column_name::text, data_type::text
        from information_schema.columns
        where table_schema = 'public' and table_name = $1 and is_generated = 'NEVER' and is_identity = 'NO'
        order by ordinal_position";
    let columns: Vec<(String, String)> =
        sqlx::query_as(columns).bind(table).fetch_all(conn).await.unwrap();
    columns.into_iter().map(|(name, data_type)| Column { name, data_type }).collect()
}
